//! Log lines about refused peers: the peer, its address, the service and the reason. A repeated refusal is logged once
//! at first, and then at most once a minute.

use std::time::{Duration, Instant};

use mdp_protocol::broker::{Cause, Name, Note};
use mdp_protocol::wire::DisconnectReason;

use crate::observe;

/// The minimum time between two lines about the same peer, service and reason.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// The maximum number of remembered refusals.
const MAX: usize = 256;

#[derive(Default)]
pub(super) struct Refusals {
    /// The refusals during the current message.
    new: Vec<Refusal>,
    /// The peer whose session ends because of a refusal.
    ending: Option<Name>,
    told: Vec<Told>,
}

struct Refusal {
    id: Name,
    principal: Name,
    service: Option<Name>,
    reason: DisconnectReason,
}

struct Told {
    /// The peer's principal or key, and its address. The id may differ between attempts.
    whose: Box<[u8]>,
    service: Option<Name>,
    reason: DisconnectReason,
    at: Instant,
    /// The number of repetitions since the last line.
    again: u64,
}

impl Refusals {
    /// Records a note. `true`: the note is about a refusal, and needs no other log line.
    pub(super) fn heard(&mut self, note: &Note) -> bool {
        match note {
            Note::Refused { id, principal, service, reason } => {
                self.ending = Some(id.clone());
                self.new.push(Refusal {
                    id: id.clone(),
                    principal: principal.clone(),
                    service: service.clone(),
                    reason: *reason,
                });
                true
            }
            Note::SessionClosed { id, cause: Cause::Expelled(_), .. } => {
                self.ending.take().is_some_and(|ending| ending == *id)
            }
            _ => false,
        }
    }

    pub(super) fn has_new(&self) -> bool {
        !self.new.is_empty()
    }

    /// Logs the refusals of a message from this address.
    pub(super) fn tell(&mut self, now: Instant, address: Option<&str>) {
        self.ending = None;
        for refusal in std::mem::take(&mut self.new) {
            if let Some(again) = self.count(now, &refusal, address) {
                let Refusal { id, principal, service, reason } = &refusal;
                observe::refused(id, principal, service.as_deref(), address, *reason, again);
            }
        }
    }

    /// The number of repetitions since the last line, if a line is due now.
    fn count(&mut self, now: Instant, refusal: &Refusal, address: Option<&str>) -> Option<u64> {
        // libzmq reports only the host.
        let whose = [&*refusal.principal, b" ", address.unwrap_or_default().as_bytes()].concat();
        let same = |told: &&mut Told| {
            *told.whose == *whose
                && (&told.service, told.reason) == (&refusal.service, refusal.reason)
        };
        if let Some(told) = self.told.iter_mut().find(same) {
            told.again += 1;
            if now.saturating_duration_since(told.at) < AGAIN_AFTER {
                return None;
            }
            told.at = now;
            return Some(std::mem::take(&mut told.again));
        }
        if self.told.len() >= MAX {
            self.told.remove(0);
        }
        let (service, reason) = (refusal.service.clone(), refusal.reason);
        self.told.push(Told { whose: whose.into(), service, reason, at: now, again: 0 });
        Some(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(id: &str, principal: &str, service: &str) -> Refusal {
        let name = |text: &str| Name::from(text.as_bytes());
        let (id, principal, service) = (name(id), name(principal), Some(name(service)));
        Refusal { id, principal, service, reason: DisconnectReason::Denied }
    }

    #[test]
    fn one_that_comes_again_is_told_once_a_minute() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        let mut count = |ms: u64, id: &str, principal: &str, address: &str| {
            let now = start + Duration::from_millis(ms);
            refusals.count(now, &refusal(id, principal, "auth.v1.Auth"), Some(address))
        };
        assert_eq!(count(0, "p-1", "", "10.0.0.1"), Some(1));
        for number in 2..500 {
            assert_eq!(count(number, &format!("p-{number}"), "", "10.0.0.1"), None);
        }
        assert_eq!(count(60_000, "p-500", "", "10.0.0.1"), Some(499));
        assert_eq!(count(60_000, "p-501", "", "10.0.0.2"), Some(1), "another host");
        assert_eq!(count(60_000, "p-502", "shop", "10.0.0.2"), Some(1), "a principal");
        assert_eq!(count(60_001, "p-503", "shop", "10.0.0.2"), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        for number in 0..10_000 {
            let refusal = refusal("p-1", &number.to_string(), "auth.v1.Auth");
            assert_eq!(refusals.count(now, &refusal, None), Some(1));
        }
        assert_eq!(refusals.told.len(), MAX);
    }
}
