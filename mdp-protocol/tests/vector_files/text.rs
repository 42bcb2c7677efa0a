//! Records as lines of text, both ways.

use mdp_protocol::wire::{
    Body, CallKind, Command, Direction, DisconnectReason, Flags, Head, Part, Record, RecordError,
    Reply, Tail, put_tail,
};
use mdp_protocol::{Code, Span};

/// The line for a record as it was decoded.
pub(crate) fn render(
    head: &Head,
    packet: &[u8],
    frames: &[Vec<u8>],
) -> Result<String, RecordError> {
    let record = Record::read(head, packet, |_| ())?;
    let mut line = record.command().name().to_string();
    let mut put = |key: &str, value: String| line.push_str(&format!(" {key}={value}"));
    match &record {
        Record::Hello { id, heartbeat, liveness } => {
            put("id", quote(id));
            put("heartbeat_ms", heartbeat.as_ms().to_string());
            put("liveness", liveness.to_string());
        }
        Record::Welcome { id, heartbeat, liveness, frame_bytes } => {
            put("id", quote(id));
            put("heartbeat_ms", heartbeat.as_ms().to_string());
            put("liveness", liveness.to_string());
            put("frame_bytes", frame_bytes.to_string());
        }
        Record::Ready { service, capacity, shared, schema } => {
            put("service", quote(service));
            put("capacity", capacity.to_string());
            if let Some(schema) = schema {
                put("schema", quote(schema));
            }
            flag(&mut line, "SHARED", *shared);
        }
        Record::Request { call, timeout, idempotent, attempt, peer, kind, body: () } => {
            put("call", call.to_string());
            put("timeout_ms", timeout.as_ms().to_string());
            put("attempt", attempt.to_string());
            render_body(head, peer, packet, frames, &mut put);
            flag(&mut line, "IDEMPOTENT", *idempotent);
            flag(&mut line, "OUT", head.flags.has(Flags::OUT));
            flag(&mut line, "COMPRESSED", head.flags.has(Flags::COMPRESSED));
            flag(&mut line, "RAW", head.flags.has(Flags::RAW));
            flag(&mut line, "REQUESTS", kind.streams(Direction::Requests));
            flag(&mut line, "REPLIES", kind.streams(Direction::Replies));
        }
        Record::Data { call, of, part } => {
            put("call", call.to_string());
            put("of", way(*of).into());
            if *part != Part::End {
                render_body(head, &[], packet, frames, &mut put);
            }
            flag(&mut line, "OUT", head.flags.has(Flags::OUT));
            flag(&mut line, "COMPRESSED", head.flags.has(Flags::COMPRESSED));
            flag(&mut line, "RAW", head.flags.has(Flags::RAW));
            flag(&mut line, "OPEN", matches!(part, Part::Open(())));
            flag(&mut line, "END", *part == Part::End);
        }
        Record::Credit { call, of, units } => {
            put("call", call.to_string());
            put("of", way(*of).into());
            put("units", units.to_string());
        }
        Record::Final { call, code, not_started, attempt, peer, reply: _ } => {
            put("call", call.to_string());
            put("code", code.to_string());
            put("attempt", attempt.to_string());
            render_body(head, peer, packet, frames, &mut put);
            flag(&mut line, "NOT_STARTED", *not_started);
            flag(&mut line, "OUT", head.flags.has(Flags::OUT));
            flag(&mut line, "COMPRESSED", head.flags.has(Flags::COMPRESSED));
            flag(&mut line, "RAW", head.flags.has(Flags::RAW));
        }
        Record::Cancel { call } => put("call", call.to_string()),
        Record::Grant { service, slots, number } => {
            put("service", quote(service));
            put("slots", slots.to_string());
            put("number", number.to_string());
        }
        Record::Demand { service, calls } => {
            put("service", quote(service));
            put("calls", calls.to_string());
        }
        Record::Heartbeat | Record::Drain => {}
        Record::Disconnect(reason) => {
            put("reason", reason.as_u32().to_string());
            put("versions", head.count.to_string());
        }
    }
    Ok(line)
}

fn way(of: Direction) -> &'static str {
    match of {
        Direction::Requests => "requests",
        Direction::Replies => "replies",
    }
}

fn render_body(
    head: &Head,
    peer: &[u8],
    packet: &[u8],
    frames: &[Vec<u8>],
    put: &mut impl FnMut(&str, String),
) {
    if !peer.is_empty() {
        put("peer", quote(peer));
    }
    if !head.name.is_empty() {
        put("path", quote(head.name.of(packet)));
    }
    if head.flags.has(Flags::META) {
        put("meta", quote(head.meta.of(packet)));
    }
    put(
        "payload",
        quote(match head.body {
            Body::Inline(slice) => slice.of(packet),
            Body::Frame(number) => &frames[number as usize],
        }),
    );
}

fn flag(line: &mut String, name: &str, on: bool) {
    if on {
        line.push(' ');
        line.push_str(name);
    }
}

/// Appends the record that a line stands for to a packet, and its payload to `frames` where it is
/// to travel there.
pub(crate) fn encode(line: &str, packet: &mut Vec<u8>, frames: &mut Vec<Vec<u8>>) {
    let fields = Fields::of(line);
    let path = fields.bytes("path");
    let meta = fields.get("meta").map(unquote);
    let payload = fields.bytes("payload");
    let mut bytes = path.clone();
    if let Some(meta) = &meta {
        bytes.extend_from_slice(&(meta.len() as u32).to_be_bytes());
        bytes.extend_from_slice(meta);
    }
    let out = fields.has("OUT");
    if !out {
        bytes.extend_from_slice(&payload);
    }
    let tail = Tail {
        bytes: &bytes,
        name_len: path.len() as u8,
        meta: meta.is_some(),
        payload_len: payload.len() as u32,
        out,
        compressed: fields.has("COMPRESSED"),
        raw: fields.has("RAW"),
    };
    put_tail(packet, &fields.record(), tail);
    if out {
        frames.push(payload);
    }
}

struct Fields<'a> {
    command: &'a str,
    words: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    fn of(line: &'a str) -> Self {
        let mut words = split(line).into_iter();
        Fields { command: words.next().unwrap_or_default(), words: words.collect() }
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        self.words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    fn has(&self, flag: &str) -> bool {
        self.words.contains(&flag)
    }

    fn bytes(&self, key: &str) -> Vec<u8> {
        self.get(key).map(unquote).unwrap_or_default()
    }

    fn number<T: TryFrom<u64>>(&self, key: &str) -> T {
        let text = self.get(key).unwrap_or_else(|| panic!("{}: no `{key}`", self.command));
        let number: u64 = text.parse().unwrap_or_else(|e| panic!("{key}={text}: {e}"));
        T::try_from(number).unwrap_or_else(|_| panic!("{key}={text} is too large"))
    }

    fn span(&self, key: &str) -> Span {
        Span::from_ms(self.number(key))
    }

    fn way(&self) -> Direction {
        match self.get("of") {
            Some("requests") => Direction::Requests,
            Some("replies") => Direction::Replies,
            of => panic!("{}: of={of:?}", self.command),
        }
    }

    fn part(&self) -> Part<()> {
        match (self.has("OPEN"), self.has("END")) {
            (true, false) => Part::Open(()),
            (false, true) => Part::End,
            _ => Part::Item(()),
        }
    }

    fn record(&self) -> Record<Vec<u8>, ()> {
        match command(self.command) {
            Command::Hello => Record::Hello {
                id: self.bytes("id"),
                heartbeat: self.span("heartbeat_ms"),
                liveness: self.number("liveness"),
            },
            Command::Welcome => Record::Welcome {
                id: self.bytes("id"),
                heartbeat: self.span("heartbeat_ms"),
                liveness: self.number("liveness"),
                frame_bytes: self.number("frame_bytes"),
            },
            Command::Ready => Record::Ready {
                service: self.bytes("service"),
                capacity: self.number("capacity"),
                shared: self.has("SHARED"),
                schema: self.get("schema").map(|hash| unquote(hash).try_into().unwrap()),
            },
            Command::Request => Record::Request {
                call: self.number("call"),
                timeout: self.span("timeout_ms"),
                idempotent: self.has("IDEMPOTENT"),
                attempt: self.number("attempt"),
                peer: self.bytes("peer"),
                kind: CallKind::new(self.has("REQUESTS"), self.has("REPLIES")),
                body: (),
            },
            Command::Data => {
                Record::Data { call: self.number("call"), of: self.way(), part: self.part() }
            }
            Command::Credit => Record::Credit {
                call: self.number("call"),
                of: self.way(),
                units: self.number("units"),
            },
            Command::Final => Record::Final {
                call: self.number("call"),
                code: code(self.get("code").unwrap_or_default()),
                not_started: self.has("NOT_STARTED"),
                attempt: self.number("attempt"),
                peer: self.bytes("peer"),
                reply: Reply::Body(()),
            },
            Command::Cancel => Record::Cancel { call: self.number("call") },
            Command::Grant => Record::Grant {
                service: self.bytes("service"),
                slots: self.number("slots"),
                number: self.number("number"),
            },
            Command::Demand => {
                Record::Demand { service: self.bytes("service"), calls: self.number("calls") }
            }
            Command::Heartbeat => Record::Heartbeat,
            Command::Drain => Record::Drain,
            Command::Disconnect => {
                Record::Disconnect(DisconnectReason::from_u32(self.number("reason")))
            }
        }
    }
}

fn command(name: &str) -> Command {
    let found = (0..=255).filter_map(Command::from_u8).find(|command| command.name() == name);
    found.unwrap_or_else(|| panic!("`{name}` is no command"))
}

fn code(name: &str) -> Code {
    let found = (0..=16).map(Code::from_u32).find(|code| code.name() == name);
    found.unwrap_or_else(|| panic!("`{name}` is no status code"))
}

/// Words between spaces; a space within quotes parts nothing.
pub(crate) fn split(line: &str) -> Vec<&str> {
    let mut quoted = false;
    let words = line.split(|c: char| {
        quoted ^= c == '"';
        c == ' ' && !quoted
    });
    words.filter(|word| !word.is_empty()).collect()
}

/// `"text"` for printable ASCII, else `0x` and hex digits.
pub(crate) fn quote(bytes: &[u8]) -> String {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'"';
    if bytes.iter().all(plain) {
        return format!("\"{}\"", String::from_utf8_lossy(bytes));
    }
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{hex}")
}

pub(crate) fn unquote(text: &str) -> Vec<u8> {
    if let Some(text) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        return text.into();
    }
    let digits = text.strip_prefix("0x").unwrap_or_else(|| panic!("{text}: neither text nor hex"));
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
