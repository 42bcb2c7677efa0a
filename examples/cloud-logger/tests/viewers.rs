//! What viewers show, in the terminal and over HTTP, and what they do not let through.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use serde_json::Value;
use support::{Process, World};

const HOSTILE: &str =
    "<img src=x onerror=steal()>\u{1b}]0;title\u{7}\r\n2026-01-01 ERROR forged \u{202e}";

struct Part {
    world: World,
    _running: [Process; 2],
}

fn start() -> Part {
    let world = World::new();
    let running = [world.broker(), world.logger("logger-1")];
    Part { world, _running: running }
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(60)));
    config.http_status_as_error(false).build().into()
}

/// The records of a live stream, one after another.
struct Live {
    lines: Box<dyn Iterator<Item = String>>,
    records: Vec<Value>,
    /// The id of the last message.
    id: Option<String>,
}

impl Live {
    fn open(address: &str, query: &str, after: Option<&str>) -> Self {
        let mut request = agent().get(format!("{address}live?{query}"));
        if let Some(id) = after {
            request = request.header("last-event-id", id);
        }
        let response = request.call().unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let lines = BufReader::new(response.into_body().into_reader()).lines();
        Live { lines: Box::new(lines.map(Result::unwrap)), records: Vec::new(), id: None }
    }

    fn next(&mut self) -> Value {
        while self.records.is_empty() {
            let line = self.lines.next().expect("the stream has ended");
            if let Some(id) = line.strip_prefix("id: ") {
                self.id = Some(id.to_owned());
            }
            if let Some(Value::Array(records)) =
                line.strip_prefix("data: ").map(|data| serde_json::from_str(data).unwrap())
            {
                self.records = records;
            }
        }
        self.records.remove(0)
    }
}

#[test]
fn the_terminal_filters_by_level_target_and_text() {
    let part = start();
    let world = &part.world;
    let mut live = world.view(&["--level", "warn", "--target", "shop::stock"]);
    world.logs(&["--events", "100", "--rate", "0"]);
    for (args, count) in [
        (&[][..], 100),
        (&["--level", "error"], 10),
        (&["--level", "WARN"], 30),
        (&["--level", "info"], 60),
        (&["--level", "debug"], 80),
        (&["--target", "shop::cart"], 50),
        (&["--target", "shop::car"], 0),
        (&["--text", "CARD DECLINED"], 10),
        (&["--text", "customer"], 100),
        (&["--level", "info", "--target", "shop", "--text", "nearly"], 20),
        (&["--last", "7"], 7),
    ] {
        // Of two `--last` it is an error, so the one for all stands in `past` only.
        let shown = if args.first() == Some(&"--last") {
            let ended = world.part(&[&["view", "--once"], args].concat()).end();
            ended.stdout.lines().count()
        } else {
            world.past(args).len()
        };
        assert_eq!(shown, count, "{args:?}");
    }
    // Live the same: 20 lines, and then what comes next is one of a later program.
    for _ in 0..20 {
        assert!(live.line("").contains(" WARN shop["));
    }
    world.logs(&["--events", "1", "--name", "later"]);
    assert!(live.line("").contains(" WARN later["));
}

#[test]
fn the_terminal_shows_hostile_text_on_one_line_and_harmless() {
    let part = start();
    let mut live = part.world.view(&[]);
    part.world.logs(&["--name", HOSTILE, "--say", HOSTILE]);
    let line = live.line("forged");
    assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
    assert!(line.contains(
        r"<img src=x onerror=steal()>\u{1b}]0;title\u{7}\r\n2026-01-01 ERROR forged \u{202e}"
    ));
    assert_eq!(part.world.past(&[]), [line]);
}

#[test]
fn the_page_gets_records_live_and_by_its_filters() {
    let part = start();
    let world = &part.world;
    let (_web, address) = world.web();
    let mut all = Live::open(&address, "last=0", None);
    let mut some = Live::open(&address, "level=warn&target=shop::payment&text=Declined", None);
    // Both have begun, or the first events might be of the past.
    for live in [&mut all, &mut some] {
        assert!(live.lines.any(|line| line == "event: back"));
    }
    world.logs(&["--events", "20", "--rate", "0"]);
    let numbers: Vec<String> = (0..20).map(|_| number(&all.next())).collect();
    assert!(numbers.iter().cloned().eq((1..=20).map(|number| number.to_string())), "{numbers:?}");
    assert_eq!((number(&some.next()), number(&some.next())), ("10".into(), "20".into()));

    // A browser goes on behind what it has seen.
    let id = some.id.clone().unwrap();
    world.logs(&["--events", "10", "--rate", "0", "--name", "later"]);
    let mut again = Live::open(&address, "level=error&last=100", Some(&id));
    let record = again.next();
    assert!(record["source"].as_str().unwrap().starts_with("later["), "{record}");

    let past = |query: &str| -> Value {
        let text = agent()
            .get(format!("{address}past?{query}"))
            .call()
            .unwrap()
            .into_body()
            .read_to_string();
        serde_json::from_str(&text.unwrap()).unwrap()
    };
    let page = past("level=error&last=2");
    assert_eq!(page["records"].as_array().unwrap().len(), 2);
    let rest = past(&format!("level=error&last=2&before={}", page["next"].as_str().unwrap()));
    assert_eq!(
        (rest["records"].as_array().unwrap().len(), rest["next"].as_str().unwrap()),
        (1, "0")
    );
    assert_eq!(number(&rest["records"][0]), "10");
}

fn number(record: &Value) -> String {
    record["fields"][0][1].as_str().unwrap().to_owned()
}

#[test]
fn hostile_text_is_data_to_the_page() {
    let part = start();
    let (_web, address) = part.world.web();
    part.world.logs(&["--say", HOSTILE]);
    let record = Live::open(&address, "last=1", None).next();
    let message = record["message"].as_str().unwrap();
    assert!(!message.chars().any(|c| c.is_control() || c == '\u{202e}'), "{message:?}");
    assert!(message.starts_with("<img src=x"), "HTML is the page's to show as text: {message}");
    let page = agent().get(&address).call().unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    let page = page.into_body().read_to_string().unwrap();
    assert!(
        !page.contains("http") && !page.contains("onclick"),
        "nothing from elsewhere, no script in it"
    );
    let script = agent().get(format!("{address}page.js")).call().unwrap();
    assert!(!script.into_body().read_to_string().unwrap().contains("innerHTML"));
}

#[test]
fn what_the_page_must_not_be_asked_is_refused() {
    let part = start();
    let (_web, address) = part.world.web();
    let ask = |path: &str, name: &str, value: &str| {
        let response = agent().get(format!("{address}{path}")).header(name, value).call().unwrap();
        let code = response.status().as_u16();
        let mut said = String::new();
        response.into_body().into_reader().take(200).read_to_string(&mut said).unwrap();
        (code, said)
    };
    let long = format!("past?text={}", "x".repeat(1_001));
    for (path, name, value, code, words) in [
        ("past", "host", "evil.example", 421, "by the number of its address"),
        ("live", "sec-fetch-site", "cross-site", 403, "own page"),
        ("live", "sec-fetch-site", "same-site", 403, "own page"),
        ("past", "sec-fetch-site", "cross-site", 403, "own page"),
        ("live", "origin", "http://evil.example", 403, "own page"),
        ("past?last=1", "sec-fetch-site", "same-origin", 200, "records"),
        ("past?level=loud", "x", "y", 400, "a level is one of"),
        ("past?colour=red", "x", "y", 400, "unknown field"),
        ("live?last=-1", "x", "y", 400, "invalid"),
        ("live", "last-event-id", "none", 400, "no record's"),
        (long.as_str(), "x", "y", 400, "1,000 bytes"),
        ("elsewhere", "x", "y", 404, ""),
    ] {
        let (answer, said) = ask(path, name, value);
        assert!(answer == code && said.contains(words), "{path}: {answer} {said}");
    }
}

#[test]
fn a45_pages_beyond_the_most_are_refused_and_closed_ones_make_room() {
    let part = start();
    let (_web, address) = part.world.web();
    let open = || Live::open(&address, "last=0", None);
    let mut pages: Vec<Live> = (0..16).map(|_| open()).collect();
    let code =
        |address: &str| agent().get(format!("{address}live")).call().unwrap().status().as_u16();
    // From one address.
    assert_eq!(code(&address), 429);
    pages.pop();
    support::until("a page that was closed makes room", || code(&address) == 200);
}
