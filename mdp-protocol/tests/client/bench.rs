//! A client on the bench: what its user and its broker say to it, and what it says as lines of text.

use crate::support::{self, at, ms, shared, text};
use mdp_protocol::client::{Action, Call, Client, Config, Input, Outcome};
use mdp_protocol::wire::{CallKind, Record};
use mdp_protocol::{ConnectionState, Key, SessionAction};

/// A client and what it says. The tokens are the numbers that the test gives its calls.
pub(crate) struct Bench {
    pub(crate) client: Client<Vec<u8>, u32>,
    /// The call that the last input made.
    pub(crate) made: Option<Key>,
    pub(crate) now: u64,
    pub(crate) lines: Vec<String>,
}

impl Bench {
    pub(crate) fn new(config: Config) -> Self {
        Bench { client: Client::new(config), made: None, now: 1_000, lines: Vec::new() }
    }

    /// A client with an open session.
    pub(crate) fn connected(config: Config) -> Self {
        let mut bench = Bench::new(config);
        bench.input(Input::Tick);
        bench.welcome();
        bench.take();
        bench
    }

    pub(crate) fn welcome(&mut self) {
        self.welcome_with(1_000_000);
    }

    pub(crate) fn welcome_with(&mut self, frame_bytes: u64) {
        self.say(Record::Welcome { id: b"me", heartbeat: ms(1_000), liveness: 3, frame_bytes });
    }

    pub(crate) fn call(&mut self, token: u32, timeout: u64, idempotent: bool) {
        self.call_to(token, timeout, idempotent, "s.S/M", "");
    }

    pub(crate) fn call_to(
        &mut self,
        token: u32,
        timeout: u64,
        idempotent: bool,
        path: &str,
        worker: &str,
    ) {
        let (body, worker, kind) = (path.into(), shared(worker), CallKind::Unary);
        let call = Call {
            token,
            timeout: ms(timeout),
            begin_within: ms(2_000),
            idempotent,
            worker,
            kind,
            body,
        };
        self.input(Input::Call(call));
    }

    /// A call with streams, by its name.
    pub(crate) fn stream(&mut self, token: u32, kind: CallKind, idempotent: bool) -> Key {
        let (body, worker, timeout) = (b"s.S/M".to_vec(), shared(""), ms(9_000));
        self.input(Input::Call(Call {
            token,
            timeout,
            begin_within: ms(2_000),
            idempotent,
            worker,
            kind,
            body,
        }));
        self.made.expect("the call was made")
    }

    pub(crate) fn say(&mut self, record: Record<&[u8], Vec<u8>>) {
        self.input(Input::Record(record));
    }

    pub(crate) fn input(&mut self, input: Input<'_, Vec<u8>, u32>) {
        let mut out = Vec::new();
        self.made = self.client.handle(at(self.now), input, &mut out);
        self.lines.extend(out.into_iter().map(line));
    }

    /// Lets time pass as a driver does; the broker says nothing.
    pub(crate) fn pass(&mut self, time: u64) {
        let end = self.now + time;
        while let Some(next) = self.client.next_deadline().filter(|next| next.as_ms() <= end) {
            self.now = self.now.max(next.as_ms());
            self.input(Input::Tick);
        }
        self.now = end;
        self.input(Input::Tick);
    }

    /// Until the client wants its next connection, or `max` milliseconds.
    pub(crate) fn until_connect(&mut self, max: u64) -> u64 {
        let (start, end) = (self.now, self.now + max);
        while !self.lines.iter().any(|line| line.starts_with("connect")) {
            let next = self.client.next_deadline().expect("there is something to wait for");
            assert!(next.as_ms() <= end, "no connection within {max} ms: {:?}", self.lines);
            self.now = self.now.max(next.as_ms());
            self.input(Input::Tick);
        }
        self.now - start
    }

    pub(crate) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}

fn line(action: Action<Vec<u8>, u32>) -> String {
    match action {
        Action::Session(SessionAction::Connect { endpoint }) => format!("connect {endpoint}"),
        Action::Session(SessionAction::Send(record)) => text(&record),
        Action::Session(SessionAction::State(state)) => match state {
            ConnectionState::Connecting { endpoint } => format!("connecting {endpoint}"),
            ConnectionState::Connected { id, .. } => {
                format!("connected as {}", support::string(id))
            }
            ConnectionState::Disconnected(cause) => format!("disconnected: {cause}"),
            ConnectionState::Closed => "closed for all to see".into(),
        },
        Action::Part { call, part } => format!("part {call:?}: {}", support::part_text(&part)),
        Action::Credit { call, units } => format!("credit {call:?}: {units}"),
        Action::Done { token, outcome } => match outcome {
            Outcome::Final { code, not_started, body, .. } => {
                let safe = if not_started { " not started" } else { "" };
                format!("call {token}: {code}{safe} {}", support::string(body))
            }
            Outcome::Refused(refusal) => {
                let safe = if refusal.not_started { " not started" } else { "" };
                let (code, reason) = (refusal.code, refusal.reason.name());
                format!("call {token}: {code}{safe} {reason}: {}", refusal.message)
            }
        },
        Action::Returned(_) => "returned".into(),
        Action::Closed => "closed".into(),
    }
}
