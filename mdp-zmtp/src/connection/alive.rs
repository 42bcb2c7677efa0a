//! Deadlines: of the handshake, and of a peer's silence (RFC 37, "Connection Heartbeating").

use super::{Connection, State};
use crate::config::Heartbeat;
use crate::error::{Command, Error};
use crate::output::Output;
use crate::time::Time;
use crate::wire::command::put_name;

/// The longest TTL in tenths of a second. libzmq 4.3 multiplies it by 100 in 16 bits, so a longer one ends a connection
/// early there.
const MAX_TTL: u64 = 655;

/// When the peer was heard, and when it must be.
#[derive(Debug)]
pub(super) struct Alive {
    started: Time,
    heard: Time,
    /// When PING was sent, if nothing came since.
    asked: Option<Time>,
    /// When the TTL of the peer's PING is over, and the TTL, if nothing came since.
    expires: Option<(Time, u64)>,
}

impl Alive {
    pub(super) fn new(now: Time) -> Self {
        Alive { started: now, heard: now, asked: None, expires: None }
    }

    pub(super) fn heard(&mut self, now: Time) {
        (self.heard, self.asked, self.expires) = (now, None, None);
    }

    /// The peer's PING has this TTL. 0: none.
    pub(super) fn must_be_heard_within(&mut self, now: Time, ms: u64) {
        self.expires = (ms > 0).then(|| (now.after_ms(ms), ms));
    }
}

impl Connection {
    /// When [`tick`](Self::tick) is to be called. `None`: no deadline.
    pub fn next_deadline(&self) -> Option<Time> {
        match &self.state {
            State::Ended => None,
            State::Ready(_) => {
                let expires = self.alive.expires.map(|(expires, _)| expires);
                [expires, self.heartbeat_due()].into_iter().flatten().min()
            }
            _ => Some(self.handshake_ends()),
        }
    }

    /// Does what is due: sends PING, or ends the connection of a peer that is late. A driver reads what has arrived
    /// before it calls this, so that a pause of its own is not taken for the peer's silence.
    ///
    /// # Errors
    ///
    /// The handshake took too long, or the peer is silent. The connection has ended then.
    pub fn tick(&mut self, now: Time, out: &mut Output) -> Result<(), Error> {
        if let Some(error) = self.late(now) {
            return Err(self.end(error));
        }
        let is_due = self.heartbeat_due().is_some_and(|due| due <= now);
        if let Some(heartbeat) = self.heartbeat().filter(|_| is_due) {
            self.alive.asked = Some(now);
            let ttl = (heartbeat.ttl_ms / 100).min(MAX_TTL) as u16;
            let sent = self.put_command(out, |body| {
                put_name(body, Command::Ping);
                body.extend_from_slice(&ttl.to_be_bytes());
            });
            sent.ok_or(Error::NoncesUsedUp).map_err(|error| self.end(error))?;
        }
        Ok(())
    }

    /// Counts as if octets had come. A driver that does not read a connection for a while, to hold its peer back, calls
    /// this: the peer is not silent then.
    pub fn touch(&mut self, now: Time) {
        self.alive.heard(now);
    }

    /// The error of a peer whose deadline has passed.
    fn late(&self, now: Time) -> Option<Error> {
        match (&self.state, self.alive.expires) {
            (State::Ended, _) => None,
            (State::Ready(_), Some((expires, ms))) if expires <= now => Some(Error::Expired { ms }),
            (State::Ready(_), _) => {
                let heartbeat = self.heartbeat()?;
                let asked = self.alive.asked?;
                let ms = heartbeat.timeout_ms;
                (asked.after_ms(ms) <= now).then_some(Error::Silent { ms })
            }
            _ => {
                let ms = self.config.bounds().handshake_ms;
                (self.handshake_ends() <= now).then_some(Error::HandshakeTime { ms })
            }
        }
    }

    fn handshake_ends(&self) -> Time {
        self.alive.started.after_ms(self.config.bounds().handshake_ms)
    }

    /// When the next PING, or the answer to the last one, is due.
    fn heartbeat_due(&self) -> Option<Time> {
        let heartbeat = self.heartbeat()?;
        Some(match self.alive.asked {
            Some(asked) => asked.after_ms(heartbeat.timeout_ms),
            None => self.alive.heard.after_ms(heartbeat.interval_ms),
        })
    }

    /// The heartbeats of a connection that has them: a peer of ZMTP 3.0 knows no PING.
    fn heartbeat(&self) -> Option<Heartbeat> {
        self.config.pings().filter(|_| self.is_ready() && self.minor > 0)
    }
}
