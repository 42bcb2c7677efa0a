//! Credit: the units that the sender of a stream may still send.

use crate::payload::Payload;
use crate::wire::{CallKind, Direction, Part, units};

/// The first credit of a stream from a client or a worker.
pub(crate) const DEFAULT_WINDOW: u32 = 4_096;

/// Units that may be sent. One item may overdraw it, see [`units`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Balance(i32);

impl Balance {
    /// Adds units up to a balance of `max`, and returns the number of units added.
    pub(crate) fn add(&mut self, units: u32, max: u32) -> u32 {
        let max = i64::from(max.min(i32::MAX as u32));
        let room = (max - i64::from(self.0)).max(0);
        let added = u32::try_from(i64::from(units).min(room)).unwrap_or(u32::MAX);
        self.0 = self.0.saturating_add_unsigned(added);
        added
    }

    /// Takes the cost of an item. `false`: there was no credit left.
    pub(crate) fn take(&mut self, units: u32) -> bool {
        let any = self.0 > 0;
        if any {
            self.0 = self.0.saturating_sub_unsigned(units);
        }
        any
    }

    /// The remaining units. 0 if the credit is overdrawn.
    pub(crate) fn units(self) -> u32 {
        self.0.max(0).unsigned_abs()
    }
}

/// The streams of a call as its client or its worker sees them.
#[derive(Debug)]
pub(crate) struct Ends {
    kind: CallKind,
    /// The direction that is sent from here.
    own: Direction,
    /// The credit for sending from here.
    may_send: Balance,
    /// The credit of the other side.
    granted: Balance,
    sent_end: bool,
    heard_end: bool,
    /// OPEN or an item has passed in the stream of replies, so OPEN has no place any more.
    opened: bool,
    begun: bool,
}

impl Ends {
    pub(crate) fn new(kind: CallKind, own: Direction) -> Self {
        Ends {
            kind,
            own,
            may_send: Balance::default(),
            granted: Balance::default(),
            sent_end: false,
            heard_end: false,
            opened: false,
            begun: false,
        }
    }

    pub(crate) fn kind(&self) -> CallKind {
        self.kind
    }

    /// Whether any part has passed, in either direction.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    fn other(&self) -> Direction {
        match self.own {
            Direction::Requests => Direction::Replies,
            Direction::Replies => Direction::Requests,
        }
    }

    /// Grants the other side units, if it has a stream.
    pub(crate) fn grant(&mut self, units: u32) -> bool {
        let granted = self.kind.streams(self.other()) && !self.heard_end;
        if granted {
            self.granted.add(units, u32::MAX);
        }
        granted
    }

    /// The other side grants units. `false`: this is not allowed.
    pub(crate) fn heard_credit(&mut self, of: Direction, units: u32) -> bool {
        if of != self.own || !self.kind.streams(of) {
            return false;
        }
        self.begun = true;
        self.may_send.add(units, u32::MAX);
        true
    }

    /// A part is about to be sent. `false`: this is not allowed.
    pub(crate) fn send<P: Payload>(&mut self, part: &Part<P>) -> bool {
        if !self.kind.streams(self.own) || self.sent_end {
            return false;
        }
        match part {
            Part::Item(item) => {
                self.begun = true;
                self.opened |= self.own == Direction::Replies;
                self.may_send.take(units(item.size()))
            }
            Part::Open(_) => self.own == Direction::Replies && self.open(),
            Part::End => {
                self.sent_end = true;
                self.own == Direction::Requests
            }
        }
    }

    /// Whether OPEN may come now. If so it counts as received.
    fn open(&mut self) -> bool {
        !core::mem::replace(&mut self.opened, true)
    }

    /// Whether END was sent.
    pub(crate) fn has_ended(&self) -> bool {
        self.sent_end
    }

    /// A part has arrived. `false`: this is not allowed.
    pub(crate) fn heard<P: Payload>(&mut self, of: Direction, part: &Part<P>) -> bool {
        if of != self.other() || !self.kind.streams(of) || self.heard_end {
            return false;
        }
        self.begun = true;
        match part {
            Part::Item(item) => {
                self.opened |= of == Direction::Replies;
                self.granted.take(units(item.size()))
            }
            Part::Open(_) => of == Direction::Replies && self.open(),
            Part::End => {
                self.heard_end = true;
                of == Direction::Requests
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn an_item_may_overdraw_a_balance_and_the_next_waits() {
        let mut balance = Balance::default();
        assert!(!balance.take(1));
        assert_eq!(balance.add(2, 10), 2);
        assert!(balance.take(5));
        assert_eq!(balance.units(), 0);
        assert_eq!(balance.add(3, 10), 3);
        assert!(!balance.take(1));
        assert_eq!(balance.add(u32::MAX, 10), 10);
        assert!(balance.take(1));
    }

    #[test]
    fn a_call_without_streams_takes_no_part_and_no_credit() {
        let mut ends = Ends::new(CallKind::Unary, Direction::Requests);
        assert!(!ends.heard_credit(Direction::Requests, 1));
        assert!(!ends.heard(Direction::Replies, &Part::Item(vec![])));
        assert!(!ends.send(&Part::Item(vec![])));
        assert!(!ends.grant(1));
        assert!(!ends.has_begun());
    }

    #[test]
    fn open_comes_once_and_before_the_items_of_replies() {
        let open = Part::Open(vec![]);
        let item = Part::Item(vec![]);
        let ends = |own| {
            let mut ends = Ends::new(CallKind::BidiStreaming, own);
            assert!(ends.grant(9) && ends.heard_credit(own, 9));
            ends
        };
        let mut worker = ends(Direction::Replies);
        assert!(worker.send(&open) && !worker.send(&open));
        let mut worker = ends(Direction::Replies);
        assert!(worker.send(&item) && !worker.send(&open));
        assert!(!worker.heard(Direction::Requests, &open));
        let mut client = ends(Direction::Requests);
        assert!(!client.send(&open));
        assert!(client.send(&item) && client.heard(Direction::Replies, &open));
        assert!(!client.heard(Direction::Replies, &open));
    }

    #[test]
    fn a_balance_stays_within_its_bounds() {
        let mut balance = Balance::default();
        let max = i32::MAX as u32;
        assert_eq!(balance.add(u32::MAX, u32::MAX), max);
        assert_eq!((balance.add(1, u32::MAX), balance.units()), (0, max));
        assert!(balance.take(u32::MAX) && !balance.take(1));
        assert_eq!(balance.units(), 0);
        // The overdrawn part comes on top.
        assert_eq!(balance.add(u32::MAX, 1), u32::MAX - max + 1);
        assert_eq!(balance.units(), 1);
    }

    #[test]
    fn a_stream_is_sent_within_its_credit_until_it_ends() {
        let mut client = Ends::new(CallKind::ClientStreaming, Direction::Requests);
        let mut worker = Ends::new(CallKind::ClientStreaming, Direction::Replies);
        assert!(worker.grant(2));
        assert!(client.heard_credit(Direction::Requests, 2));
        for item in [vec![0; 10], vec![0; 2_000]] {
            let part = Part::Item(item);
            assert!(client.send(&part) && worker.heard(Direction::Requests, &part));
        }
        assert!(!client.send(&Part::Item(vec![])));
        assert!(!worker.heard(Direction::Requests, &Part::Item(vec![])));
        assert!(client.send(&Part::<vec::Vec<u8>>::End));
        assert!(worker.heard(Direction::Requests, &Part::<vec::Vec<u8>>::End));
        assert!(!client.send(&Part::<vec::Vec<u8>>::End));
        assert!(!worker.grant(1));
    }
}
