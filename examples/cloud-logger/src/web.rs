//! The viewer as a web page: the page, and the records as server-sent events.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::sse::{Event as Sse, KeepAlive};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use mdp_runtime::{Client, Code, Status};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::escape::escape;
use crate::filter::{level, level_name};
use crate::follow::{Follow, Seen};
use crate::pb::view_client::ViewClient;
use crate::pb::{self, Field, QueryRequest, Record};
use crate::terminal::time;

/// Pages that may be open at once: each takes a slot of a logger worker.
const PAGES: usize = 32;
/// Pages that may be open at once from one address, so that nobody takes all places.
const PAGES_OF_ONE: usize = 16;
/// The most records of the past for a page.
const PAST: u32 = 1_000;
/// How often a silent stream says that it is there.
const ALIVE: Duration = Duration::from_secs(15);

/// Nothing from elsewhere, no script within the page, and no page around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(Clone)]
struct Pages {
    client: Client,
    open: Places,
}

/// Serves the page until `stop` is ready. Whoever reaches the address reads the log: it asks nobody for a password, so keep it to
/// `127.0.0.1`, or put something before it that does.
///
/// # Errors
///
/// The socket fails.
pub async fn serve(
    listener: TcpListener,
    client: Client,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let pages = Pages { client, open: Places::default() };
    let router = Router::new()
        .route(
            "/",
            get(async || text("text/html; charset=utf-8", include_str!("../web/page.html"))),
        )
        .route(
            "/page.js",
            get(async || text("text/javascript; charset=utf-8", include_str!("../web/page.js"))),
        )
        .route(
            "/page.css",
            get(async || text("text/css; charset=utf-8", include_str!("../web/page.css"))),
        )
        .merge(
            Router::new()
                .route("/live", get(live))
                .route("/past", get(past))
                .layer(middleware::from_fn(own_page)),
        )
        .with_state(pages)
        .layer(middleware::from_fn(guard));
    let router = router.into_make_service_with_connect_info::<SocketAddr>();
    // Not axum's orderly end: a page that is open would hold it up for ever.
    tokio::select! {
        ended = axum::serve(listener, router) => ended,
        () = stop => Ok(()),
    }
}

/// Where the page may be asked for: a name could be made to lead here by any web site, so that its scripts may read what is here
/// (DNS rebinding). A number or `localhost` cannot.
fn is_own_address(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    let number = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || number.parse::<IpAddr>().is_ok() || host.parse::<SocketAddr>().is_ok()
}

async fn guard(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if !host.is_some_and(is_own_address) {
        let why = "ask for this page by the number of its address, or as localhost\n";
        return (StatusCode::MISDIRECTED_REQUEST, why).into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Lets the page ask for records, and programs that are no browsers. A page of another site could not read them, but it could
/// take all places. Browsers say where a request comes from; those that do not know `Sec-Fetch-Site` say `Origin` at least.
async fn own_page(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let value = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if comes_from_elsewhere(value("sec-fetch-site"), value("origin"), value("host")) {
        let why = "only this program's own page may ask for records\n";
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    next.run(request).await
}

fn comes_from_elsewhere(site: Option<&str>, origin: Option<&str>, host: Option<&str>) -> bool {
    let other_site = site.is_some_and(|site| !matches!(site, "same-origin" | "none"));
    let own = |origin: &str| {
        let name = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        name.is_some() && name == host
    };
    other_site || origin.is_some_and(|origin| !own(origin))
}

/// The pages that are open, by address.
#[derive(Clone, Default)]
struct Places(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One of them. Its place is free again when it is dropped.
struct PlaceTaken {
    places: Places,
    address: IpAddr,
}

impl Places {
    fn take(&self, address: IpAddr) -> Result<PlaceTaken, Fault> {
        let address = whose(address);
        let mut open = self.lock();
        if open.values().sum::<usize>() >= PAGES {
            let why = format!("{PAGES} pages are open already");
            return Err(Fault(StatusCode::SERVICE_UNAVAILABLE, why));
        }
        let of_this = open.entry(address).or_default();
        if *of_this >= PAGES_OF_ONE {
            let why = format!("{PAGES_OF_ONE} pages are open already from {address}");
            return Err(Fault(StatusCode::TOO_MANY_REQUESTS, why));
        }
        *of_this += 1;
        Ok(PlaceTaken { places: self.clone(), address })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PlaceTaken {
    fn drop(&mut self) {
        let mut open = self.places.lock();
        if let Some(of_this) = open.get_mut(&self.address) {
            *of_this -= 1;
            if *of_this == 0 {
                open.remove(&self.address);
            }
        }
    }
}

/// Who has an address: with IPv6 one machine has many, all of one network of 64 bits.
fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address => address,
    }
}

fn text(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// What a page asks for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    level: String,
    target: String,
    text: String,
    /// For the past: how many, and before which record.
    last: u32,
    before: u64,
}

impl Wanted {
    fn filter(self) -> Result<pb::Filter, String> {
        let level = level(&self.level)?;
        Ok(pb::Filter { level: level.into(), target: self.target, text: self.text })
    }
}

/// Records as they come, each an event with its id, by which the browser goes on after a break.
async fn live(
    State(pages): State<Pages>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let place = pages.open.take(from.ip())?;
    let last = wanted.last.min(PAST);
    let mut follow = Follow::new(&pages.client, wanted.filter().map_err(bad)?, last);
    if let Some(id) = headers.get("last-event-id") {
        let cursor = id.to_str().ok().and_then(|id| id.parse().ok());
        follow = follow.after(cursor.ok_or_else(|| bad("Last-Event-ID is no record's".into()))?);
    }
    let events = stream::unfold(Some((follow, place)), tell);
    let alive = KeepAlive::new().interval(ALIVE);
    Ok(axum::response::Sse::new(events).keep_alive(alive).into_response())
}

type Told = (Result<Sse, Infallible>, Option<(Follow, PlaceTaken)>);

async fn tell(state: Option<(Follow, PlaceTaken)>) -> Option<Told> {
    let (mut follow, place) = state?;
    let sse = match follow.next().await {
        Ok(Seen::Records(records)) => {
            let shown: Vec<_> = records.iter().map(Shown::of).collect();
            let id = follow.cursor().unwrap_or_default().to_string();
            Sse::default().event("records").id(id).json_data(shown)
        }
        Ok(Seen::Lost(status)) => {
            Sse::default().event("lost").json_data(escape(&status.to_string()))
        }
        Ok(Seen::Back) => Sse::default().event("back").json_data("connected"),
        Err(status) => {
            let refused = Sse::default().event("refused").json_data(escape(&status.to_string()));
            return Some((Ok(refused.unwrap_or_default()), None));
        }
    };
    // Text is always JSON.
    Some((Ok(sse.unwrap_or_default()), Some((follow, place))))
}

#[derive(Serialize)]
struct Past {
    records: Vec<Shown>,
    /// As text, as all numbers of records: scripts know no integers beyond 2^53.
    next: String,
}

async fn past(State(pages): State<Pages>, Query(wanted): Query<Wanted>) -> Result<Response, Fault> {
    let (before, limit) = (wanted.before, wanted.last.min(PAST));
    let filter = Some(wanted.filter().map_err(bad)?);
    let view = ViewClient::new(pages.client);
    let reply = view.query(QueryRequest { filter, before, limit }).await.map_err(fault)?;
    let records = reply.records.iter().map(Shown::of).collect();
    let past = serde_json::to_string(&Past { records, next: reply.next.to_string() });
    let past = past.map_err(|error| Fault(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], past).into_response())
}

/// A record as the page gets it: texts are escaped already, the page shows them as text.
#[derive(Serialize)]
struct Shown {
    id: String,
    time: String,
    level: &'static str,
    source: String,
    target: String,
    message: String,
    fields: Vec<[String; 2]>,
    spans: Vec<ShownSpan>,
    dropped: u64,
}

#[derive(Serialize)]
struct ShownSpan {
    name: String,
    fields: Vec<[String; 2]>,
}

impl Shown {
    fn of(record: &Record) -> Self {
        let source = record.source.clone().unwrap_or_default();
        let event = record.event.clone().unwrap_or_default();
        let spans = event.spans.iter();
        Shown {
            id: record.id.to_string(),
            time: time(event.time),
            level: level_name(event.level()),
            source: format!("{}[{}]", escape(&source.name), source.process),
            target: escape(&event.target),
            message: escape(&event.message),
            fields: pairs(&event.fields),
            spans: spans
                .map(|span| ShownSpan { name: escape(&span.name), fields: pairs(&span.fields) })
                .collect(),
            dropped: event.dropped,
        }
    }
}

fn pairs(fields: &[Field]) -> Vec<[String; 2]> {
    fields.iter().map(|field| [escape(&field.name), escape(&field.value)]).collect()
}

/// Why there is no answer, as text.
#[derive(Debug)]
struct Fault(StatusCode, String);

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        (self.0, format!("{}\n", escape(&self.1))).into_response()
    }
}

fn bad(why: String) -> Fault {
    Fault(StatusCode::BAD_REQUEST, why)
}

fn fault(status: Status) -> Fault {
    let code = match status.code() {
        Code::InvalidArgument => StatusCode::BAD_REQUEST,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    Fault(code, status.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a45_pages_of_other_sites_are_told_from_the_own_one() {
        let host = Some("127.0.0.1:80");
        for site in ["cross-site", "same-site", "", "what comes later"] {
            assert!(comes_from_elsewhere(Some(site), None, host), "{site}");
        }
        for site in [None, Some("same-origin"), Some("none")] {
            assert!(!comes_from_elsewhere(site, None, host), "{site:?}");
            assert!(!comes_from_elsewhere(site, Some("http://127.0.0.1:80"), host), "{site:?}");
            for origin in ["http://evil.example", "http://127.0.0.1:81", "null", ""] {
                assert!(comes_from_elsewhere(site, Some(origin), host), "{site:?} {origin}");
            }
        }
    }

    #[test]
    fn a45_one_address_does_not_take_all_places() {
        let places = Places::default();
        let take = |address: &str| places.take(address.parse().unwrap());
        let mut one: Vec<_> = (0..PAGES_OF_ONE).map(|_| take("10.0.0.1").unwrap()).collect();
        assert_eq!(take("::ffff:10.0.0.1").err().unwrap().0, StatusCode::TOO_MANY_REQUESTS);
        // All of one network count together.
        let other: Vec<_> =
            (0..PAGES_OF_ONE).map(|last| take(&format!("2001:db8::{last:x}")).unwrap()).collect();
        assert_eq!(take("10.0.0.2").err().unwrap().0, StatusCode::SERVICE_UNAVAILABLE);
        one.pop();
        assert!(take("10.0.0.1").is_ok());
        drop((one, other));
        assert!(places.lock().is_empty());
    }

    #[test]
    fn names_of_others_are_not_this_page() {
        for host in ["localhost", "localhost:8080", "127.0.0.1:1", "10.0.0.7", "[::1]:80", "[::1]"]
        {
            assert!(is_own_address(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:80",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
        ] {
            assert!(!is_own_address(host), "{host}");
        }
    }
}
