//! Metadata that says what a guard would have found out, and metadata that cannot be read.

use mdp_protocol::wire::{self, Tail};
use mdp_protocol::{Code, Span};
use mdp_runtime::testing;
use mdp_runtime::{
    CallContext, Interceptor, MdpRecord, Next, Reply, Request, Status, Worker, mdp_service,
};

use crate::cluster::Target;
use crate::raw::RawPeer;
use crate::replies::{Chance, request};
use crate::{count, report, together};

const PATH: &str = "attacks.v1.Work/Nest";
/// `user`: `root`; replies may be compressed; `token`: `secret`.
const WHOLE: &[u8] = b"\x0a\x0c\x0a\x04user\x12\x04root\x10\x01\x0a\x0f\x0a\x05token\x12\x06secret";
/// Where a field of it ends: what stands before is metadata, too.
const ENDS: [usize; 4] = [0, 14, 16, WHOLE.len()];

/// A44: a call whose metadata cannot be read ends alone, and no handler sees it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a44_metadata_that_cannot_be_read_ends_its_call_only() {
    let _turn = together().await;
    let mut target = Target::start();
    let _worker = target.worker(8).await;
    let (endpoint, tries) = (target.endpoint.clone(), count(10_000));
    let attack = tokio::task::spawn_blocking(move || {
        let (mut client, mut chance) = (RawPeer::greeted(&endpoint), Chance(44));
        let mut refused = 0;
        let mut ask = |number, meta: &[u8]| {
            let record = request(number, PATH, Span::from_secs(20));
            let bytes = [PATH.as_bytes(), &(meta.len() as u32).to_be_bytes(), meta].concat();
            let name_len = PATH.len() as u8;
            let tail = Tail { bytes: &bytes, name_len, meta: true, ..Tail::default() };
            let mut packet = Vec::new();
            wire::put_tail(&mut packet, &record, tail);
            client.send_frames(&[&packet]);
            let end = client.wait_final();
            let good = wire::check_metadata(meta).is_ok();
            let wanted = if good { (Code::Ok, false) } else { (Code::InvalidArgument, true) };
            assert_eq!((end.call, end.code, end.not_started), (number, wanted.0, wanted.1));
            refused += u64::from(!good);
            good
        };
        for len in 0..=WHOLE.len() {
            assert_eq!(ask(len as u64, &WHOLE[..len]), ENDS.contains(&len), "{len}");
        }
        for number in 0..tries {
            let mut meta = WHOLE.to_vec();
            for _ in 0..=chance.next() % 3 {
                let at = chance.next() as usize % meta.len();
                meta[at] = (chance.next() >> 32) as u8;
            }
            ask(1_000 + number, &meta);
        }
        // The session is as it was.
        assert!(ask(1_000_000, WHOLE));
        refused
    });
    let refused = attack.await.unwrap();
    target.until("invalid", |invalid| invalid == refused).await;
    target.serves().await;
    report(&format!("a44: {tries} changed metadata, {refused} calls refused before a handler"));
}

/// Somebody whom the guard below has let in.
#[derive(Clone, Debug, PartialEq)]
struct User(&'static str);

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub(crate) struct Name {
    #[mdp(1)]
    pub(crate) name: String,
}

#[mdp_service(package = "attacks.v1")]
pub(crate) trait Door {
    /// Who calls: by the extensions, and by the metadata.
    async fn who(&self, cx: &CallContext, req: Name) -> Result<Name, Status>;
}

struct Doors;

impl Door for Doors {
    async fn who(&self, cx: &CallContext, _: Name) -> Result<Name, Status> {
        let said: Vec<_> = cx.metadata().get_all("user").cloned().collect();
        Ok(Name { name: format!("{:?} {said:?}", cx.extensions().get::<User>()) })
    }
}

/// Knows one token.
struct Guard;

impl Interceptor for Guard {
    async fn call(&self, mut request: Request, next: Next) -> Result<Reply, Status> {
        if request.metadata().get_str("token") != Some("ann's") {
            return Err(Status::unauthenticated("who are you?"));
        }
        request.extensions_mut().insert(User("ann"));
        request.metadata_mut().insert("user", "ann");
        next.call(request).await
    }
}

/// A44: what a guard has found out cannot be said by a caller: neither before nor behind it, nor by another spelling.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a44_no_caller_says_what_the_guard_finds_out() {
    let _turn = together().await;
    let broker = testing::broker().unwrap();
    let worker: Worker =
        broker.worker().intercept(Guard).serve(DoorWorker::new(Doors)).start().unwrap();
    worker.connected().await;
    let door = DoorClient::new(broker.client().await.unwrap());
    let ask = || door.who(Name { name: String::new() }).metadata("token", "ann's");
    for forged in [
        ask(),
        ask().metadata("user", "root"),
        ask().metadata("user", "root").metadata("User", "admin"),
        ask().metadata("USER", "root").extension(User("root")),
    ] {
        assert_eq!(forged.await.unwrap().name, "Some(User(\"ann\")) [b\"ann\"]");
    }
    let status = door.who(Name { name: String::new() }).metadata("user", "ann").await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let status = ask().metadata("user ", "root").await.unwrap_err();
    assert_eq!((status.code(), status.not_started()), (Code::InvalidArgument, true));
}
