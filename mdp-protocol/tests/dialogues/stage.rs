//! A broker to which lines of text are messages.

use std::collections::BTreeMap;

use mdp_protocol::broker::{
    Action, Broker, Config, Content, FromClassic, Incoming, Input, Listing, Outgoing, ToClassic,
};
use mdp_protocol::wire::classic::{self, ClassicError, Command, Form, Reader};
use mdp_protocol::wire::{
    self, DisconnectReason, Head, Record, Reply, SIGNATURE, WireError, decode, split_frames, tunnel,
};
use mdp_protocol::{Identity, Key, Limits, Span, Time};

use crate::body::Body;
use crate::vector_files::text;

pub(crate) struct Stage {
    pub(crate) broker: Broker<Body>,
    limits: Limits,
    now: u64,
    routes: BTreeMap<Key, String>,
    said: Vec<String>,
    /// The call of the last request to each worker: `@` in what that one says.
    last: BTreeMap<String, u64>,
}

impl Stage {
    /// A broker with settings, `key=number` each.
    pub(crate) fn new(settings: &str) -> Self {
        let mut config = Config::default();
        for setting in settings.split_whitespace() {
            let (key, value) = setting.split_once('=').unwrap();
            let number: u64 = value.parse().unwrap();
            let span = Span::from_ms(number);
            match key {
                "queue_expiry_ms" => config.classic.queue_expiry = span,
                "run_timeout_ms" => config.classic.run_timeout = span,
                "idle_expiry_ms" => config.classic.idle_expiry = span,
                "busy_expiry_ms" => config.classic.busy_expiry = span,
                "redispatch" => config.classic.redispatch = number != 0,
                "services" => config.limits.services = number as usize,
                "allow_drain" => config.drain.anybody = number != 0,
                "schemas" => config.limits.schemas = number as usize,
                "schema_bytes" => config.limits.schema_bytes = number as usize,
                "calls_per_client" => config.limits.calls_per_client = number as usize,
                "queued_calls" => config.limits.queued_calls_per_service = number as usize,
                "pauses_reading" => config.pauses_reading = number != 0,
                "queued_bytes" => config.limits.queued_bytes_per_service = number as usize,
                _ => panic!("`{key}` is no setting"),
            }
        }
        let limits = config.limits.clone();
        let (routes, said) = (BTreeMap::new(), Vec::new());
        let last = BTreeMap::new();
        Stage { broker: Broker::new(config), limits, now: 1_000, routes, said, last }
    }

    pub(crate) fn said(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said)
    }

    pub(crate) fn input(&mut self, line: &str) {
        if let Some(time) = line.strip_prefix("wait ") {
            return self.wait(time.strip_suffix(" ms").unwrap().parse().unwrap());
        }
        if let Some(who) = line.strip_prefix("lost ") {
            let route = who.to_owned();
            let (session, _) = self.routes.iter().find(|(_, name)| **name == route).unwrap();
            let session = *session;
            return self.handle(Input::Unreachable { session });
        }
        if line == "shut down" {
            return self.handle(Input::Shutdown { grace: Span::from_secs(1) });
        }
        let (who, message) = line.split_once(" > ").unwrap_or_else(|| panic!("{line}: no line"));
        let last = self.last.get(who).copied().unwrap_or_default();
        let message = message.replace("call=@", &format!("call={last}"));
        let frames = frames(&message.replace(" @ ", &format!(" {last:016x} ")));
        match frames[0].first() == Some(&SIGNATURE) {
            true => self.packet(who, &frames),
            false => self.classic(who, &frames),
        }
    }

    /// Lets time pass; nobody sends anything.
    fn wait(&mut self, time: u64) {
        let end = self.now + time;
        while let Some(next) = self.broker.next_deadline().filter(|next| next.as_ms() <= end) {
            self.now = self.now.max(next.as_ms());
            self.handle(Input::Tick);
        }
        self.now = end;
        self.handle(Input::Tick);
    }

    fn packet(&mut self, who: &str, frames: &[Vec<u8>]) {
        let mut heads = Vec::new();
        let of = |head: &Head| Body::of(head, &frames[0], &frames[1..]);
        let records = wire::read(&frames[0], &frames[1..], &self.limits, &mut heads, of);
        for record in records.unwrap() {
            let from = self.broker.sender(who.as_bytes(), Identity::anonymous());
            let mut out = Vec::new();
            let input = Input::Record { from, record: record.unwrap() };
            self.broker_handle(input, &mut out);
        }
    }

    fn broker_handle(&mut self, input: Input<'_, Body>, out: &mut Vec<Action<Body>>) {
        self.broker.handle(Time::from_ms(self.now), input, out);
        for action in out.drain(..) {
            self.perform(action);
        }
    }

    fn classic(&mut self, who: &str, frames: &[Vec<u8>]) {
        let message = classic::read(Reader::Broker, frames, &self.limits);
        let from = self.broker.sender(who.as_bytes(), Identity::anonymous());
        let mut out = Vec::new();
        let message = match message {
            Ok(message) => message,
            Err(ClassicError::Signature) => {
                let reason = DisconnectReason::Malformed;
                return self.broker_handle(Input::Invalid { from, reason }, &mut out);
            }
            Err(ClassicError::Wrong { form, side, .. }) => {
                return self.broker_handle(Input::InvalidClassic { from, form, side }, &mut out);
            }
        };
        let body = &frames[message.body..];
        let said = match message.command {
            Command::Request { service } => {
                let fits = |_: &[u8], head: &_| tunnel::is_request(head);
                FromClassic::Request { service, content: self.content(service, body, fits) }
            }
            Command::Answer { address, last } => {
                let fits = |_: &[u8], head: &_| tunnel::is_reply(head, last);
                FromClassic::Answer { address, last, content: self.content(b"", body, fits) }
            }
            Command::Ready { service } => FromClassic::Ready { service },
            Command::Heartbeat => FromClassic::Heartbeat,
            Command::Disconnect => FromClassic::Disconnect,
            command => panic!("{command:?} is not for a broker"),
        };
        let form = message.form;
        self.broker_handle(Input::Classic { from, form, said }, &mut out);
    }

    fn content<'a>(
        &self,
        service: &[u8],
        body: &'a [Vec<u8>],
        fits: impl FnOnce(&[u8], &Head) -> bool,
    ) -> Incoming<'a, Body> {
        match tunnel::read(body, &self.limits).filter(|head| fits(&body[0], head)) {
            Some(head) => {
                let of = |head: &Head| Body::of(head, &body[0], &body[1..]);
                Incoming::Call(Box::new(Record::read(&head, &body[0], of).unwrap()))
            }
            None => Incoming::Raw(Body::of_frames(service, body)),
        }
    }

    fn handle(&mut self, input: Input<'_, Body>) {
        self.broker_handle(input, &mut Vec::new());
    }

    fn perform(&mut self, action: Action<Body>) {
        let line = match action {
            Action::Open { session, route } => {
                self.routes.insert(session, String::from_utf8(route.into()).unwrap());
                return;
            }
            Action::Close { session } => {
                self.routes.remove(&session);
                return;
            }
            Action::Send { to, record } => {
                if let Record::Request { call, .. } = &record {
                    self.last.insert(self.routes[&to].clone(), *call);
                }
                format!("{} < {}", self.routes[&to], rpc(record))
            }
            Action::Answer { route, record } => {
                format!("{} < {}", String::from_utf8_lossy(&route), rpc(record))
            }
            Action::SendClassic { to, form, message } => {
                if let ToClassic::Task { call, .. } = &message {
                    self.last.insert(self.routes[&to].clone(), *call);
                }
                format!("{} < {}", self.routes[&to], classic_line(form, message))
            }
            Action::AnswerClassic { route, form, message } => {
                let line = classic_line(form, message);
                format!("{} < {line}", String::from_utf8_lossy(&route))
            }
            Action::Pause { session } => format!("{} < pause", self.routes[&session]),
            Action::Resume { session } => format!("{} < resume", self.routes[&session]),
            Action::Ask(_) => unreachable!("there are no hooks"),
            Action::Note(_) => return,
            Action::Closed => "closed".into(),
        };
        self.said.push(line);
    }
}

/// The frames of a line: `"text"`, bytes in hex, or `{a record}` for a packet of one.
fn frames(line: &str) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let end = match rest.as_bytes()[0] {
            b'{' => rest.find('}').unwrap() + 1,
            b'"' => rest[1..].find('"').unwrap() + 2,
            _ => rest.find(' ').unwrap_or(rest.len()),
        };
        let (frame, after) = rest.split_at(end);
        rest = after.trim_start();
        match frame.strip_prefix('{') {
            Some(record) => {
                let mut packet = Vec::new();
                mdp_protocol::wire::begin(&mut packet);
                for record in record.trim_end_matches('}').split(" | ") {
                    text::encode(record, &mut packet, &mut frames);
                }
                frames.push(packet);
            }
            None if frame.starts_with('"') => frames.push(text::unquote(frame)),
            None => frames.push(text::unquote(&format!("0x{frame}"))),
        }
    }
    frames
}

fn rpc(record: Outgoing<Body>) -> String {
    let packet = packet(record);
    format!("{{{}}}", render(&packet).unwrap())
}

fn packet(record: Outgoing<Body>) -> Vec<u8> {
    let mut packet = Vec::new();
    let body = match &record {
        Record::Final { reply: Reply::Refused(refusal), .. } => {
            Body::of_text(&format!("{}: {}", refusal.reason.name(), refusal.message))
        }
        Record::Final { reply: Reply::Listing(listing), .. } => {
            Body::of_frames(b"", &listing_frames(listing))
        }
        record => record.body().cloned().unwrap_or_default(),
    };
    body.put(&mut packet, &record);
    packet
}

fn listing_frames(listing: &Listing) -> Vec<Vec<u8>> {
    let status = listing.status().to_string().into_bytes();
    match listing {
        Listing::Status(_) => vec![status],
        Listing::Schema(answer) => {
            let mut frames = Vec::new();
            split_frames(answer, usize::MAX, |range| frames.push(answer[range].to_vec())).unwrap();
            assert_eq!(frames[0], status);
            frames
        }
        // As JSON in the runtime.
        listing => vec![status, format!("{listing:?}").replace('"', "'").into_bytes()],
    }
}

/// The record that a packet consists of.
fn render(packet: &[u8]) -> Result<String, WireError> {
    let mut heads = Vec::new();
    decode(packet, &[], &Limits::default(), &mut heads)?;
    let lines: Vec<String> =
        heads.iter().map(|head| text::render(head, packet, &[]).unwrap()).collect();
    Ok(lines.join(" | "))
}

fn classic_line(form: Form, message: ToClassic<Body>) -> String {
    let mut frames = Vec::new();
    message.heads(form, |frame| frames.push(frame.to_vec()));
    match message.into_content() {
        None => {}
        Some(Content::Raw(body)) => frames.extend(body.frames()),
        Some(Content::Call(record)) => frames.push(packet(*record)),
        Some(Content::Listing(listing)) => frames.extend(listing_frames(&listing)),
    }
    let words: Vec<String> = frames.iter().map(|frame| word(frame)).collect();
    words.join(" ")
}

fn word(frame: &[u8]) -> String {
    if frame.first() == Some(&SIGNATURE)
        && let Ok(record) = render(frame)
    {
        return format!("{{{record}}}");
    }
    let quoted = text::quote(frame);
    quoted.strip_prefix("0x").map_or(quoted.clone(), str::to_owned)
}
