//! What peers say beside their messages, and what a guard of this process has found out, which no peer can write.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)] // tests

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use mdp_protocol::wire::{self, CallKind, Record, Reply as WireReply, Tail};
use mdp_protocol::{Limits, Span};
use mdp_runtime::hooks::{self, Answer, BrokerHooks, Forward, Verdict};
use mdp_runtime::testing::InMemory;
use mdp_runtime::{
    Broker, CallContext, Client, Code, Interceptor, MdpRecord, Next, Reply, Request, Status,
    Stream, Streaming, Worker, mdp_service, stream,
};
use support::{RawPeer, answering, broker, call, client, echo, start, until, within, worker};

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Text {
    #[mdp(1)]
    pub text: String,
}

#[mdp_service(package = "test.v1")]
pub trait Desk {
    /// Who calls, for the handler: from extensions, from metadata.
    async fn who(&self, cx: &CallContext, req: Text) -> Result<Text, Status>;

    async fn tell(
        &self,
        cx: &CallContext,
        req: Text,
    ) -> Result<impl Stream<Item = Result<Text, Status>>, Status>;

    async fn gather(&self, cx: &CallContext, req: Streaming<Text>) -> Result<Text, Status>;

    async fn talk(
        &self,
        cx: &CallContext,
        req: Streaming<Text>,
    ) -> Result<impl Stream<Item = Result<Text, Status>>, Status>;
}

#[derive(Clone, Debug, PartialEq)]
struct User(String);

/// Counts its handlers.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl Counting {
    fn seen(&self, cx: &CallContext) -> Text {
        self.0.fetch_add(1, Ordering::SeqCst);
        let users = cx.metadata().get_all("user").map(|user| String::from_utf8_lossy(user));
        let users = users.collect::<Vec<_>>().join(",");
        Text { text: format!("{:?} {users}", cx.extensions().get::<User>()) }
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Desk for Counting {
    async fn who(&self, cx: &CallContext, req: Text) -> Result<Text, Status> {
        match req.text.as_str() {
            "bad reply" => cx.reply_metadata("bad key", "1"),
            "bad status" => {
                let mut status = Status::not_found("not here");
                status.metadata_mut().insert("", "1");
                return Err(status);
            }
            _ => {}
        }
        Ok(self.seen(cx))
    }

    async fn tell(
        &self,
        cx: &CallContext,
        req: Text,
    ) -> Result<impl Stream<Item = Result<Text, Status>>, Status> {
        if req.text == "bad reply" {
            cx.reply_metadata("bad key", "1");
        }
        let (replies, stream) = stream::channel(1);
        let _ = replies.send(self.seen(cx)).await;
        Ok(stream)
    }

    async fn gather(&self, cx: &CallContext, _: Streaming<Text>) -> Result<Text, Status> {
        Ok(self.seen(cx))
    }

    async fn talk(
        &self,
        cx: &CallContext,
        _: Streaming<Text>,
    ) -> Result<impl Stream<Item = Result<Text, Status>>, Status> {
        self.tell(cx, Text { text: String::new() }).await
    }
}

/// Takes the token for a name, and leaves it for the handler in both ways.
struct Guard;

impl Interceptor for Guard {
    async fn call(&self, mut request: Request, next: Next) -> Result<Reply, Status> {
        let mut tokens = request.metadata_mut().remove("token").into_iter();
        let (Some(token), None) = (tokens.next(), tokens.next()) else {
            return Err(Status::unauthenticated("one token"));
        };
        let user = String::from_utf8(token.to_vec()).unwrap();
        request.metadata_mut().insert("user", user.clone());
        assert_eq!(request.extensions_mut().insert(User(user)), None);
        next.call(request).await
    }
}

/// A client of the service, through a broker and in memory.
struct Setup {
    client: Client,
    _kept: Option<(Worker, Broker)>,
}

async fn both(desk: &Counting, guard: bool) -> [Setup; 2] {
    let broker = broker();
    let mut worker = Worker::builder().connect(broker.endpoints()[0].clone());
    let mut memory = InMemory::new();
    if guard {
        (worker, memory) = (worker.intercept(Guard), memory.intercept(Guard));
    }
    let worker = worker.serve(DeskWorker::new(desk.clone())).start().unwrap();
    within(worker.connected()).await.unwrap();
    let over = client(&broker).await;
    let memory = memory.serve(DeskWorker::new(desk.clone())).client();
    [Setup { client: over, _kept: Some((worker, broker)) }, Setup { client: memory, _kept: None }]
}

fn text(text: &str) -> Text {
    Text { text: text.to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_guard_has_found_out_a_caller_cannot_say() {
    for setup in both(&Counting::default(), true).await {
        let desk = DeskClient::new(setup.client.clone());
        let found = "Some(User(\"ann\")) ann";
        let unary = desk.who(text("")).metadata("user", "root").metadata("token", "ann");
        assert_eq!(within(unary.metadata("USER", "admin")).await.unwrap().text, found);
        let replies = desk.tell(text("")).metadata("user", "root").metadata("token", "ann");
        let first = within(within(replies).await.unwrap().message()).await.unwrap();
        assert_eq!(first.unwrap().text, found);
        let requests = desk.gather().metadata("user", "root").metadata("token", "ann");
        let sent = requests.send_all(tokio_stream::iter([text("x")]));
        assert_eq!(within(sent).await.unwrap().text, found);
        let talk = desk
            .talk()
            .metadata("user", "root")
            .metadata("token", "ann")
            .extension(User("root".into()));
        let (_requests, mut replies) = within(talk.open()).await.unwrap();
        assert_eq!(within(replies.message()).await.unwrap().unwrap().text, found);
        for refused in
            [desk.who(text("")), desk.who(text("")).metadata("token", "a").metadata("token", "b")]
        {
            assert_eq!(within(refused).await.unwrap_err().code(), Code::Unauthenticated);
        }
    }
}

/// Notes the user of each call, and puts another one in its place.
struct Noted(&'static str, Arc<Mutex<Vec<String>>>);

impl Interceptor for Noted {
    async fn call(&self, mut request: Request, next: Next) -> Result<Reply, Status> {
        let before = request.extensions_mut().insert(User(self.0.into()));
        self.1.lock().unwrap().push(before.map_or("nobody".into(), |user| user.0));
        let reply = next.call(request.clone()).await?;
        match request.extensions().get() {
            Some(1_u8) => next.call(request).await,
            _ => Ok(reply),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn extensions_of_a_client_are_seen_further_in_and_by_no_peer() {
    let noted = Arc::default();
    let note = |name| Noted(name, Arc::clone(&noted));
    for setup in both(&Counting::default(), false).await {
        let client = setup.client.intercept(note("outer")).intercept(note("inner"));
        let desk = DeskClient::new(client);
        let call = desk.who(text("")).extension(User("caller".into())).metadata("user", "ann");
        // The handler's process has extensions of its own.
        assert_eq!(within(call).await.unwrap().text, "None ann");
        assert_eq!(std::mem::take(&mut *noted.lock().unwrap()), ["caller", "outer"]);
        let replies = within(desk.tell(text(""))).await.unwrap().message().await.unwrap().unwrap();
        assert_eq!(replies.text, "None ");
        assert_eq!(std::mem::take(&mut *noted.lock().unwrap()), ["nobody", "outer"]);
        // Each attempt has what its request has.
        within(desk.who(text("")).extension(1_u8)).await.unwrap();
        let seen = std::mem::take(&mut *noted.lock().unwrap());
        assert_eq!(seen, ["nobody", "outer", "outer"]);
    }
}

/// Puts a key beside each call that cannot be sent.
struct Careless;

impl Interceptor for Careless {
    async fn call(&self, mut request: Request, next: Next) -> Result<Reply, Status> {
        request.metadata_mut().append("bad key", "");
        next.call(request).await
    }
}

fn assert_not_made(status: &Status, key: &str) {
    assert_eq!((status.code(), status.not_started()), (Code::InvalidArgument, true), "{status:?}");
    assert_eq!(status.reason().as_deref(), Some("BAD_REQUEST"));
    assert!(status.message().contains(&format!("the metadata key `{key}` is invalid")), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_with_a_key_that_cannot_be_sent_is_not_made() {
    let counting = Counting::default();
    for setup in both(&counting, false).await {
        let desk = DeskClient::new(setup.client.clone());
        let long = "k".repeat(256);
        for (key, shown) in
            [("Bad Key", "bad key"), ("", ""), ("ä", "ä"), ("a/b", "a/b"), (&long, &long[..64])]
        {
            let unary = desk.who(text("")).metadata("good", "").metadata(key, "");
            assert_not_made(&within(unary).await.unwrap_err(), shown);
            let replies = desk.tell(text("")).metadata(key, "");
            assert_not_made(&within(replies).await.unwrap_err(), shown);
            let requests = desk.gather().metadata(key, "");
            let sent = requests.send_all(tokio_stream::iter([text("x")]));
            assert_not_made(&within(sent).await.unwrap_err(), shown);
            let (mut requests, mut replies) = desk.talk().metadata(key, "").start();
            assert!(within(requests.send(text("x"))).await.is_err());
            assert_not_made(&within(replies.message()).await.unwrap_err(), shown);
        }
        let careless = DeskClient::new(setup.client.intercept(Careless));
        assert_not_made(&within(careless.who(text(""))).await.unwrap_err(), "bad key");
        assert_not_made(&within(careless.tell(text(""))).await.unwrap_err(), "bad key");
        assert_eq!(counting.count(), 0);
        // What has upper-case letters only is sent in lower case.
        let call = desk.who(text("")).metadata("USER", "ann");
        assert_eq!(within(call).await.unwrap().text, "None ann");
        counting.0.store(0, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_with_a_key_that_cannot_be_sent_is_internal() {
    for setup in both(&Counting::default(), false).await {
        let desk = DeskClient::new(setup.client.clone());
        let internal = |status: Status, key: &str| {
            assert_eq!(
                (status.code(), status.not_started()),
                (Code::Internal, false),
                "{status:?}"
            );
            assert!(status.message().contains(&format!("key `{key}` is invalid")), "{status}");
            assert!(status.metadata().is_empty());
        };
        internal(within(desk.who(text("bad reply"))).await.unwrap_err(), "bad key");
        internal(within(desk.who(text("bad status"))).await.unwrap_err(), "");
        internal(within(desk.tell(text("bad reply"))).await.unwrap_err(), "bad key");
        assert!(within(desk.who(text(""))).await.is_ok());
    }
}

const PATH: &[u8] = b"test.v1.Echo/Echo";
/// `token`: `secret`, and then a key of one byte that is no UTF-8.
const BAD_KEY: &[u8] = b"\x0a\x0f\x0a\x05token\x12\x06secret\x0a\x03\x0a\x01\xff";

/// A record whose body is this metadata, behind a name.
fn send(peer: &RawPeer, record: &Record<Vec<u8>, Vec<u8>>, name: &[u8], meta: &[u8]) {
    peer.send_frames(&[&packet(record, name, meta)]);
}

fn packet(record: &Record<Vec<u8>, Vec<u8>>, name: &[u8], meta: &[u8]) -> Vec<u8> {
    let bytes = [name, &(meta.len() as u32).to_be_bytes(), meta].concat();
    let tail = Tail { bytes: &bytes, name_len: name.len() as u8, meta: true, ..Tail::default() };
    let mut packet = Vec::new();
    wire::put_tail(&mut packet, record, tail);
    packet
}

fn request(number: u64) -> Record<Vec<u8>, Vec<u8>> {
    Record::Request {
        call: number,
        timeout: Span::from_secs(20),
        idempotent: false,
        attempt: 1,
        peer: Vec::new(),
        kind: CallKind::Unary,
        body: Vec::new(),
    }
}

fn ended(peer: &RawPeer) -> (u64, Code, bool) {
    peer.receive_one(|record| match record {
        Record::Final { call, code, not_started, .. } => Some((call, code, not_started)),
        _ => None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_metadata_cannot_be_read_reaches_no_handler_and_is_counted() {
    let broker = broker();
    let ran = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ran);
    let counting = answering(move |_, request| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move { Ok(request) }
    });
    let _worker = worker(&broker, counting).await;
    let peer = RawPeer::connect(&broker);
    let hello = Record::Hello { id: Vec::new(), heartbeat: Span::from_secs(1), liveness: 3 };
    peer.send(&[hello]);
    let good = &BAD_KEY[..17];
    // Each truncation, but for that which ends with the first entry; and the key.
    let bad = (1..=BAD_KEY.len()).filter(|len| *len != good.len());
    let bad: Vec<_> = bad.map(|len| &BAD_KEY[..len]).collect();
    for (number, meta) in bad.iter().enumerate() {
        send(&peer, &request(number as u64), PATH, meta);
        let wanted = (number as u64, Code::InvalidArgument, true);
        assert_eq!(ended(&peer), wanted, "{meta:02x?}");
    }
    assert_eq!(ran.load(Ordering::SeqCst), 0);
    let stats = broker.stats().await;
    assert_eq!(
        (stats.invalid, stats.refused, stats.requests),
        (bad.len() as u64, bad.len() as u64, 0)
    );
    send(&peer, &request(1_000), PATH, good);
    assert_eq!(ended(&peer), (1_000, Code::Ok, false));
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_whose_metadata_cannot_be_read_is_internal() {
    let broker = broker();
    let bad_worker = RawPeer::worker(&broker, "w-bad");
    let client = client(&broker).await;
    let waiting = tokio::spawn(async move { within(call(&client, "x").into_future()).await });
    let handle = bad_worker.receive_one(|record| match record {
        Record::Request { call, .. } => Some(call),
        _ => None,
    });
    let end = Record::Final {
        call: handle,
        code: Code::Ok,
        not_started: false,
        attempt: 0,
        peer: Vec::new(),
        reply: WireReply::Body(Vec::new()),
    };
    send(&bad_worker, &end, b"", BAD_KEY);
    let status = waiting.await.unwrap().unwrap_err();
    assert_eq!((status.code(), status.not_started()), (Code::Internal, false), "{status:?}");
    assert_eq!(status.reason().as_deref(), Some("MAYBE_EXECUTED"));
    until(async || broker.stats().await.invalid == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_a_tunnel_of_classic_mdp_is_held_to_the_same() {
    let broker = broker();
    let _worker = worker(&broker, echo()).await;
    let classic = RawPeer::connect(&broker);
    for (meta, wanted) in [(BAD_KEY, Code::InvalidArgument), (&BAD_KEY[..17], Code::Ok)] {
        let tunnel = packet(&request(7), PATH, meta);
        classic.send_frames(&[b"MDPC02", b"\x01", b"test.v1.Echo", &tunnel]);
        let frames = classic.receive_frames();
        let (answer, mut heads) = (frames.last().unwrap(), Vec::new());
        wire::decode(answer, &[], &Limits::default(), &mut heads).unwrap();
        match Record::read(&heads[0], answer, |_| ()).unwrap() {
            Record::Final { call: 7, code, not_started, .. } => {
                assert_eq!((code, not_started), (wanted, wanted != Code::Ok));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(broker.stats().await.invalid, 1);
}

/// Hooks that give keys which cannot be sent.
struct Clumsy;

impl BrokerHooks for Clumsy {
    fn request(&self, request: &hooks::Request) -> Verdict {
        let mut status = Status::permission_denied("no");
        status.metadata_mut().insert("bad key", "");
        match request.message::<String>().unwrap().as_str() {
            "forward" => Forward::new().metadata("bad key", "").into(),
            "answer" => Answer::bytes("").metadata("bad key", "").into(),
            "reject" => status.into(),
            _ => Forward::new().into(),
        }
    }

    fn reply(&self, reply: &hooks::Reply) -> Verdict {
        match reply.message::<String>().unwrap_or_default().as_str() {
            "stamp" => Forward::new().metadata("bad key", "").into(),
            _ => Forward::new().into(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_with_a_key_that_cannot_be_sent_ends_the_call_with_internal() {
    let broker = start(Broker::builder().hooks(Clumsy));
    let _worker = worker(&broker, echo()).await;
    let client = client(&broker).await;
    for (said, not_started) in
        [("forward", true), ("answer", true), ("reject", true), ("stamp", false)]
    {
        let status = within(call(&client, said).into_future()).await.unwrap_err();
        assert_eq!((status.code(), status.not_started()), (Code::Internal, not_started), "{said}");
        assert!(
            status.message().contains("hook of the broker: the metadata key `bad key`"),
            "{status}"
        );
    }
    assert_eq!(within(call(&client, "good").into_future()).await.unwrap(), "good");
}
