//! The body of a command (RFC 37, "Commands"): the length of its name, its name, its data.

use alloc::vec::Vec;

use crate::error::{Command, Error, Excerpt, Fault};

/// The most octets of a PING's context.
pub(crate) const MAX_CONTEXT: usize = 16;

/// The command and its data. `Err`: the name of a command that does not exist.
pub(crate) fn split(body: &[u8]) -> Result<(Command, &[u8]), Excerpt> {
    const ALL: [Command; 10] = [
        Command::Message,
        Command::Ping,
        Command::Pong,
        Command::Subscribe,
        Command::Cancel,
        Command::Ready,
        Command::Error,
        Command::Hello,
        Command::Welcome,
        Command::Initiate,
    ];
    let parts = body.split_first().and_then(|(len, rest)| rest.split_at_checked((*len).into()));
    // A name that does not end within the command is shown as far as it goes.
    let Some((name, data)) = parts else { return Err(Excerpt::of(body)) };
    let command = ALL.into_iter().find(|command| command.name().as_bytes() == name);
    command.map(|command| (command, data)).ok_or_else(|| Excerpt::of(name))
}

/// Writes the name of a command.
pub(crate) fn put_name(out: &mut Vec<u8>, command: Command) {
    let name = command.name();
    // The names above have at most 9 octets.
    out.push(name.len() as u8);
    out.extend_from_slice(name.as_bytes());
}

/// The TTL of a PING in tenths of a second, and its context.
pub(crate) fn read_ping(data: &[u8]) -> Result<(u16, &[u8]), Error> {
    match data.split_first_chunk() {
        Some((ttl, context)) if context.len() <= MAX_CONTEXT => {
            Ok((u16::from_be_bytes(*ttl), context))
        }
        _ => Err(Error::malformed(Command::Ping, Fault::Length)),
    }
}

/// Checks the context of a PONG.
pub(crate) fn check_pong(data: &[u8]) -> Result<(), Error> {
    match data.len() {
        0..=MAX_CONTEXT => Ok(()),
        _ => Err(Error::malformed(Command::Pong, Fault::Length)),
    }
}

/// The reason of an ERROR.
pub(crate) fn read_error(data: &[u8]) -> Result<Excerpt, Error> {
    match data.split_first() {
        Some((len, reason)) if usize::from(*len) == reason.len() => Ok(Excerpt::of(reason)),
        _ => Err(Error::malformed(Command::Error, Fault::Length)),
    }
}

/// Writes an ERROR. Reasons have printable characters without spaces (RFC 37, VCHAR), at most 255.
pub(crate) fn put_error(out: &mut Vec<u8>, reason: &str) {
    put_name(out, Command::Error);
    out.push(reason.len().min(255) as u8);
    out.extend(reason.bytes().take(255));
}
