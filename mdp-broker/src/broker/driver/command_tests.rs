//! Tests of the broker's thread with many waiting commands: it still serves its socket, and every command is handled.

use std::thread;
use std::time::{Duration, Instant};

use super::*;
use bytes::Bytes;
use mdp_call::body::Packer;
use mdp_protocol::wire::{CallKind, Record};
use mdp_transport::testing::Stranger;

/// A driver with its command sender and its waker.
struct Fixture {
    driver: BrokerDriver,
    commands: mpsc::Sender<BrokerCommand>,
    inbox: mpsc::Receiver<BrokerCommand>,
    context: Context,
    /// Clients that stay.
    clients: Vec<Stranger>,
}

impl Fixture {
    fn new() -> Self {
        let context = Context::new();
        let (waker, wakeups) = Waker::new(&context).unwrap();
        let endpoints = ["inproc://commands".to_owned()];
        let (config, waker) = (Config::default(), Arc::new(waker));
        let driver =
            BrokerDriver::bind(&context, config, &endpoints, None, None, waker, wakeups).unwrap();
        let (commands, inbox) = mpsc::channel();
        Fixture { driver, commands, inbox, context, clients: Vec::new() }
    }

    fn tell(&self, command: BrokerCommand) {
        self.commands.send(command).unwrap();
        self.driver.waker.wake();
    }

    /// Sends verdicts on calls that are over.
    fn tell_verdicts(&self, count: u64) {
        for call in 0..count {
            self.tell(BrokerCommand::Verdict { call, verdict: Verdict::Discard });
        }
    }
}

/// Commands from before a message apply to the message, regardless of the number of earlier commands.
#[test]
fn a_policy_behind_many_commands_counts_for_the_next_message() {
    let mut fixture = Fixture::new();
    let peer = Stranger::connect(&fixture.context, "inproc://commands");
    let mut answers = Vec::new();
    for _ in 0..1_000 {
        let (answer, told) = oneshot::channel();
        answers.push(told);
        fixture.tell(BrokerCommand::Report(answer));
    }
    fixture.tell_verdicts(10_000);
    // With this policy, no peer may do anything.
    fixture.tell(BrokerCommand::Policy(Policy::parse("").unwrap()));
    let mut packer = Packer::default();
    let heartbeat = Span::from_secs(1);
    packer.put(&Record::Hello { id: &b""[..], heartbeat, liveness: 3 });
    peer.send(&packer.take().first);
    let driver = &mut fixture.driver;
    let deadline = Instant::now() + Duration::from_secs(10);
    while driver.core.stats().turned_away == 0 {
        assert!(Instant::now() < deadline, "{:?}", driver.core.stats());
        driver.receive(&fixture.inbox).unwrap();
        driver.flush();
        assert_eq!(driver.core.stats().sessions, 0, "the policy was in force before");
    }
    assert_eq!(
        driver.pending.verdicts.len(),
        10_000 - VERDICTS,
        "the message came before the rest"
    );
}

/// The thread handles all waiting commands before it sleeps, and serves its socket in between.
#[test]
fn many_verdicts_take_many_turns_without_a_pause() {
    let mut fixture = Fixture::new();
    fixture.tell_verdicts(20 * VERDICTS as u64);
    // No other event wakes a sleeping thread.
    let (over, is_over) = mpsc::channel::<()>();
    let waker = Arc::clone(&fixture.driver.waker);
    let patience = thread::spawn(move || {
        let slept = is_over.recv_timeout(Duration::from_secs(20)).is_err();
        waker.wake();
        slept
    });
    let mut left = 20 * VERDICTS;
    while left > VERDICTS {
        fixture.driver.turn(&fixture.inbox).unwrap();
        let now = fixture.driver.pending.verdicts.len();
        assert_eq!(now, left - VERDICTS);
        assert!(fixture.driver.waker.is_called(), "it looks again");
        left = now;
    }
    over.send(()).unwrap();
    assert!(!patience.join().unwrap(), "it slept while commands waited");
}

/// A shutdown is handled before other waiting commands.
#[test]
fn a_shutdown_behind_many_commands_counts_at_once() {
    let mut fixture = Fixture::new();
    fixture.tell_verdicts(10_000);
    fixture.tell(BrokerCommand::Shutdown(Span::ZERO));
    fixture.driver.commands(&fixture.inbox);
    assert!(fixture.driver.closed);
    assert!(fixture.driver.pending.verdicts.len() > VERDICTS);
}

/// Concurrent requests for statistics share one answer.
#[test]
fn many_questions_are_one_report_a_turn() {
    let mut fixture = Fixture::new();
    let mut reports = Vec::new();
    for number in 0..1_000 {
        let (answer, report) = oneshot::channel();
        fixture.tell(BrokerCommand::Report(answer));
        // Some callers are gone before they are answered.
        if number % 2 == 0 {
            reports.push(report);
        }
    }
    let (answer, mut stats) = oneshot::channel();
    fixture.tell(BrokerCommand::Stats(answer));
    fixture.driver.commands(&fixture.inbox);
    let waiting = fixture.driver.pending.reports.len();
    assert_eq!(waiting, 1_000, "none is made before the turn's end");
    fixture.driver.pending.answer(&fixture.driver.core);
    let made: Vec<Arc<Report>> =
        reports.iter_mut().map(|report| report.try_recv().unwrap()).collect();
    assert!(made.windows(2).all(|pair| Arc::ptr_eq(&pair[0], &pair[1])));
    assert_eq!(stats.try_recv().unwrap().sessions, 0);
    assert!(fixture.driver.pending.reports.is_empty() && fixture.driver.pending.stats.is_empty());
}

/// A worker offers a service and leaves, and both is read within one turn: nobody has seen the calls that it was given.
#[test]
fn calls_for_a_worker_that_has_left_wait_for_another_one() {
    // With more than a packet has room for.
    calls_wait_after(300, |_| {});
}

/// A worker offers a service and says DISCONNECT, and both is read within one turn.
#[test]
fn calls_for_a_worker_that_says_disconnect_wait_for_another_one() {
    calls_wait_after(100, |packer| {
        packer.put(&Record::<&[u8], Body>::Disconnect(DisconnectReason::Shutdown));
    });
}

/// A worker offers a service and sends a packet of another version, and both is read within one turn.
#[test]
fn calls_for_a_worker_that_is_turned_out_wait_for_another_one() {
    let mut fixture = Fixture::new();
    let worker = calls_for(&mut fixture, 100, |_| {});
    let mut packet = heartbeat().to_vec();
    packet[1] = 0x7f;
    worker.send(&packet);
    fixture.driver.turn(&fixture.inbox).unwrap();
    all_wait(&fixture, 100);
}

/// A worker has its WELCOME and leaves, and the broker reads further calls before it reads that.
#[test]
fn calls_that_come_after_a_worker_has_left_wait_for_another_one() {
    let mut fixture = Fixture::new();
    let worker = calls_for(&mut fixture, 1, |_| {});
    fixture.driver.turn(&fixture.inbox).unwrap();
    assert_eq!(fixture.driver.core.stats().running, 1);
    let client = client(&mut fixture);
    send_calls(&client, 300);
    worker.send(&heartbeat());
    drop(worker);
    fixture.driver.turn(&fixture.inbox).unwrap();
    let stats = fixture.driver.core.stats();
    assert_eq!(stats.dispatched, 1, "{stats:?}");
}

fn calls_wait_after(calls: u64, leave: impl FnOnce(&mut Packer)) {
    let mut fixture = Fixture::new();
    drop(calls_for(&mut fixture, calls, leave));
    fixture.driver.turn(&fixture.inbox).unwrap();
    all_wait(&fixture, calls);
}

fn all_wait(fixture: &Fixture, calls: u64) {
    let stats = fixture.driver.core.stats();
    assert_eq!((stats.queued as u64, stats.running, stats.sessions), (calls, 0, 1), "{stats:?}");
}

const HELLO: Record<&[u8], Body> =
    Record::Hello { id: b"", heartbeat: Span::from_secs(1), liveness: 3 };

fn client(fixture: &mut Fixture) -> Stranger {
    let client = Stranger::connect(&fixture.context, "inproc://commands");
    let mut packer = Packer::default();
    packer.put(&HELLO);
    client.send(&packer.take().first);
    fixture.driver.turn(&fixture.inbox).unwrap();
    client
}

fn heartbeat() -> Bytes {
    let mut packer = Packer::default();
    packer.put(&Record::<&[u8], Body>::Heartbeat);
    packer.take().first
}

fn send_calls(client: &Stranger, calls: u64) {
    let mut packer = Packer::default();
    for call in 0..calls {
        packer.put(&Record::Request {
            call,
            timeout: Span::from_secs(60),
            idempotent: false,
            attempt: 1,
            peer: &b""[..],
            kind: CallKind::Unary,
            body: Body::with_payload("s.S/M", None, Bytes::from_static(b"x")),
        });
        client.send(&packer.take().first);
    }
}

/// Calls that wait, and a worker that has offered their service, and said `more` with it. The broker has not read that.
fn calls_for(fixture: &mut Fixture, calls: u64, more: impl FnOnce(&mut Packer)) -> Stranger {
    let client = client(fixture);
    send_calls(&client, calls);
    let worker = Stranger::connect(&fixture.context, "inproc://commands");
    let mut packer = Packer::default();
    packer.put(&HELLO);
    let capacity = 1_000;
    packer.put(&Record::Ready { service: &b"s.S"[..], capacity, shared: false, schema: None });
    more(&mut packer);
    let deadline = Instant::now() + Duration::from_secs(10);
    while fixture.driver.core.stats().queued < calls as usize {
        assert!(Instant::now() < deadline, "{:?}", fixture.driver.core.stats());
        fixture.driver.turn(&fixture.inbox).unwrap();
    }
    worker.send(&packer.take().first);
    // The client leaves when this ends, and its calls with it.
    fixture.clients.push(client);
    worker
}
