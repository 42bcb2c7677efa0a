//! A packet as hex, one line a field, with a comment behind each.

use mdp_protocol::wire::{Body, Command, DisconnectReason, Flags, HEADER_LEN, Head};

/// Where comments begin.
const COLUMN: usize = 50;
/// Bytes in one line.
const WIDTH: usize = 16;

pub(crate) fn dump(packet: &[u8], heads: &[Head], frames: &[Vec<u8>]) -> String {
    let mut out = String::from("bytes:\n");
    line(&mut out, &packet[..2], "signature, version");
    let mut at = 2;
    for (number, head) in heads.iter().enumerate() {
        record(&mut out, number, &packet[at..head.tail.range().end], head, packet);
        at = head.tail.range().end;
    }
    for frame in frames {
        out.push_str("frame:\n");
        long(&mut out, frame, "payload");
    }
    out
}

fn record(out: &mut String, number: usize, bytes: &[u8], head: &Head, packet: &[u8]) {
    let command = Command::from_u8(head.command).unwrap();
    let fixed = &bytes[..HEADER_LEN];
    line(out, &fixed[..1], &format!("record {number}: {command}"));
    line(out, &fixed[1..2], &format!("flags: {}", flags(command, head.flags)));
    line(out, &fixed[2..3], &format!("length of the name: {}", fixed[2]));
    line(out, &fixed[3..4], &format!("count{}", count(command, head.count)));
    line(out, &fixed[4..12], &format!("call{}", call(command, head.call)));
    line(out, &fixed[12..16], &format!("argument{}", argument(command, head.arg)));
    line(out, &fixed[16..], &format!("length of the payload: {}", head.payload_len));
    if head.flags.has(Flags::PEER) {
        line(out, &bytes[HEADER_LEN..HEADER_LEN + 1], &format!("length: {}", head.peer.len()));
        long(out, head.peer.of(packet), "peer");
    }
    long(out, head.name.of(packet), "name");
    if head.flags.has(Flags::META) {
        let start = head.meta.range().start;
        line(out, &packet[start - 4..start], &format!("length: {}", head.meta.len()));
        long(out, head.meta.of(packet), "metadata");
    }
    if let Body::Inline(payload) = head.body {
        long(out, payload.of(packet), "payload");
    }
}

fn flags(command: Command, flags: Flags) -> String {
    // One bit with two names, by command.
    let high = if command == Command::Final { "NOT_STARTED" } else { "REPLIES" };
    let all = [
        (Flags::END, "END"),
        (Flags::IDEMPOTENT, "IDEMPOTENT"),
        (Flags::META, "META"),
        (Flags::OUT, "OUT"),
        (Flags::RAW, "RAW"),
        (Flags::COMPRESSED, "COMPRESSED"),
        (Flags::PEER, "PEER"),
        (Flags::REPLIES, high),
    ];
    let set: Vec<&str> =
        all.iter().filter(|(flag, _)| flags.has(*flag)).map(|(_, name)| *name).collect();
    if set.is_empty() { "none".into() } else { set.join(", ") }
}

fn count(command: Command, count: u8) -> String {
    match command {
        Command::Hello | Command::Welcome => format!(": liveness {count}"),
        Command::Request | Command::Final => format!(": attempt {count}"),
        Command::Data if count == 1 => ": OPEN".into(),
        Command::Ready if count == 1 => ": SHARED".into(),
        Command::Disconnect => format!(": highest version {count}"),
        _ => String::new(),
    }
}

fn call(command: Command, call: u64) -> String {
    match command {
        Command::Welcome => format!(": frames of at most {call} bytes"),
        Command::Grant => format!(": number {call}"),
        Command::Request | Command::Data | Command::Final | Command::Cancel | Command::Credit => {
            format!(": {call}")
        }
        _ => String::new(),
    }
}

fn argument(command: Command, arg: u32) -> String {
    match command {
        Command::Hello | Command::Welcome => format!(": heartbeat every {arg} ms"),
        Command::Grant => format!(": slots {arg}"),
        Command::Demand => format!(": calls {arg}"),
        Command::Ready => format!(": capacity {arg}"),
        Command::Request => format!(": {arg} ms left"),
        Command::Credit => format!(": {arg} units"),
        Command::Final => format!(": status code {arg}"),
        Command::Disconnect => format!(": reason {arg}, {}", DisconnectReason::from_u32(arg)),
        _ => String::new(),
    }
}

fn long(out: &mut String, bytes: &[u8], what: &str) {
    for (number, chunk) in bytes.chunks(WIDTH).enumerate() {
        let text: String = chunk.iter().map(|byte| printable(*byte)).collect();
        let what = if number == 0 { format!("{what}: {text}") } else { format!("  {text}") };
        line(out, chunk, &what);
    }
}

fn printable(byte: u8) -> char {
    if matches!(byte, b' '..=b'~') { byte.into() } else { '.' }
}

fn line(out: &mut String, bytes: &[u8], comment: &str) {
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    out.push_str(&format!("{:COLUMN$}# {}\n", hex.join(" "), comment.trim_end()));
}
