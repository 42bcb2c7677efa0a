//! A typed call in the body of a classic message (`wire.md` R86).

use alloc::vec::Vec;

use super::decode::{Head, decode};
use super::header::{Command, Flags, SIGNATURE};
use crate::limits::Limits;
use crate::names;

/// The record in a body, if the body is a tunnel: its first frame is a packet with exactly one record, and the other
/// frames are the ones that this record announces. The ranges of the head refer to the first frame.
pub fn read<F: AsRef<[u8]>>(body: &[F], limits: &Limits) -> Option<Head> {
    let (packet, frames) = body.split_first()?;
    let packet = packet.as_ref();
    if packet.first() != Some(&SIGNATURE) {
        return None;
    }
    let lens: Vec<usize> = frames.iter().map(|frame| frame.as_ref().len()).collect();
    let mut heads = Vec::new();
    decode(packet, &lens, limits, &mut heads).ok()?;
    match heads.as_slice() {
        [head] if !head.flags.has(Flags::RAW) => Some(*head),
        _ => None,
    }
}

/// The command of the record in a body. `None`: the body is not a tunnel, or its command is unknown.
pub fn command<F: AsRef<[u8]>>(body: &[F], limits: &Limits) -> Option<Command> {
    read(body, limits)?.command()
}

/// Whether the record is a request.
pub fn is_request(head: &Head) -> bool {
    head.command() == Some(Command::Request)
}

/// Whether the record is a request for a method of this service.
pub fn is_request_of(head: &Head, packet: &[u8], service: &[u8]) -> bool {
    let path = head.name.of(packet);
    if names::check(path).is_err() {
        return false;
    }
    let method = path.strip_prefix(service).and_then(|rest| rest.strip_prefix(b"/"));
    let method = method.is_some_and(|method| !method.is_empty() && !method.contains(&b'/'));
    method && is_request(head)
}

/// Whether the record is one that answers a request: FINAL in the final reply, DATA in a partial one.
pub fn is_reply(head: &Head, last: bool) -> bool {
    head.command() == Some(if last { Command::Final } else { Command::Data })
}
