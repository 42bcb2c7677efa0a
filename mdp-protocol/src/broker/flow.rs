//! The streams of a call at the broker: their directions, their progress, and the credit of each.

use crate::payload::Payload;
use crate::stream::{Balance, DEFAULT_WINDOW};
use crate::wire::{CallKind, Direction, Part, units};

/// The streams of a call.
#[derive(Debug)]
pub(super) struct Flow {
    kind: CallKind,
    requests: Balance,
    replies: Balance,
    /// The client has said END.
    ended: bool,
    /// The worker has said OPEN.
    opened: bool,
    /// Units that a classic client has taken, and that the worker is still to get back.
    owed: u32,
    /// Client and worker have heard of each other: the call cannot begin again elsewhere.
    begun: bool,
}

impl Flow {
    pub(super) fn new(kind: CallKind) -> Self {
        let (requests, replies) = (Balance::default(), Balance::default());
        Flow { kind, requests, replies, ended: false, opened: false, owed: 0, begun: false }
    }

    #[inline]
    pub(super) fn kind(&self) -> CallKind {
        self.kind
    }

    /// Client and worker have heard of each other: the call cannot begin again elsewhere.
    #[inline]
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Credit for replies on behalf of a classic client, which cannot give any (R91).
    pub(super) fn grant(&mut self, window: u32) {
        if self.kind.streams(Direction::Replies) {
            self.replies.add(DEFAULT_WINDOW.min(window), window);
        }
    }

    /// Client and worker have heard of each other.
    pub(super) fn begin(&mut self) {
        self.begun = true;
    }

    /// The client has said END.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Credit for replies that is left.
    pub(super) fn reply_units(&self) -> u32 {
        self.replies.units()
    }

    /// The receiver of a stream gives credit. Gives what of it counts, within `max`.
    pub(super) fn add_credit(&mut self, of: Direction, units: u32, max: u32) -> u32 {
        self.balance(of).add(units, max)
    }

    /// Its worker has begun the replies.
    pub(super) fn begin_replies(&mut self) {
        self.begun = true;
        self.opened = true;
    }

    /// Takes what a reply of this size costs; `false` if there is no credit.
    pub(super) fn pay(&mut self, size: usize) -> bool {
        self.replies.take(units(size))
    }

    /// A classic client has taken a reply of this size: what is now to be given back to the worker.
    pub(super) fn return_credit(&mut self, size: usize, max: u32) -> Option<u32> {
        self.owed = self.owed.saturating_add(units(size));
        if self.owed < DEFAULT_WINDOW.min(max) / 2 {
            return None;
        }
        Some(self.replies.add(core::mem::take(&mut self.owed), max)).filter(|units| *units > 0)
    }

    fn balance(&mut self, of: Direction) -> &mut Balance {
        match of {
            Direction::Requests => &mut self.requests,
            Direction::Replies => &mut self.replies,
        }
    }

    /// Whether such a part may come now; if so it has come.
    pub(super) fn take<P: Payload>(&mut self, of: Direction, part: &Part<P>, free: bool) -> bool {
        let over = match of {
            Direction::Requests => self.ended,
            Direction::Replies => false,
        };
        if over || !self.kind.streams(of) {
            return false;
        }
        match (part, of) {
            (Part::Item(item), _) => {
                self.begun = true;
                self.opened |= of == Direction::Replies;
                free || self.balance(of).take(units(item.size()))
            }
            (Part::Open(_), Direction::Replies) => {
                self.begun = true;
                !core::mem::replace(&mut self.opened, true)
            }
            (Part::End, Direction::Requests) => {
                self.ended = true;
                true
            }
            (Part::Open(_), Direction::Requests) | (Part::End, Direction::Replies) => false,
        }
    }
}
