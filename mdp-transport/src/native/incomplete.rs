//! Messages that are not complete: how much memory they take together.
//!
//! Beyond the limit connections are not read, so TCP slows their peers down and nothing is lost. The one whose message
//! began first is read on, so one after another comes to its end. Those that bring too little meanwhile end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The first bytes of a message are not counted. A connection without a large message costs nothing here.
const FREE: usize = 64 << 10;
/// While connections wait, one that is read has to bring [`LEAST`] bytes in this time.
const WINDOW: Duration = Duration::from_secs(2);
const LEAST: usize = 32 << 10;
/// How often the connections that wait are named.
const NAME_EVERY: Duration = Duration::from_millis(100);

/// The part of a message that is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MessagePart {
    /// The bytes that came.
    pub(super) came: usize,
    /// The memory that they take.
    pub(super) held: usize,
}

/// The place of a message in the order in which they began. It is the connection's, as long as its message is large and
/// not complete.
pub(super) type Begun = Option<u64>;

/// The large messages of a router that are not complete. `C` names a connection.
pub(super) struct Incomplete<C> {
    max: usize,
    /// The bytes of all.
    bytes: usize,
    open: BTreeMap<u64, Open<C>>,
    /// The place of the next one.
    next: u64,
    /// There may be room for those that wait.
    changed: bool,
    /// The end of the window, while connections wait.
    look_at: Option<Instant>,
    /// When those that wait are named again.
    name_at: Option<Instant>,
}

struct Open<C> {
    connection: C,
    part: MessagePart,
    /// Bytes that came in this window.
    came: usize,
    /// Waits for room.
    waits: bool,
    /// The router's owner does not want to read it.
    paused: bool,
    /// The connection waited, was paused or began its message in this window, so it is not judged.
    excused: bool,
}

impl<C: Copy> Incomplete<C> {
    pub(super) fn new(max: usize) -> Self {
        let open = BTreeMap::new();
        Incomplete { max, bytes: 0, open, next: 0, changed: false, look_at: None, name_at: None }
    }

    /// Counts what a connection has of a message, and says whether it may be read now. If not, it waits:
    /// [`take_resumed`](Self::take_resumed) names it when there is room.
    #[inline]
    pub(super) fn may_read(&mut self, begun: &mut Begun, connection: C, part: MessagePart) -> bool {
        if part.held <= FREE && begun.is_none() {
            return true;
        }
        self.count(begun, connection, part);
        let Some(place) = *begun else { return true };
        let may_read = self.bytes < self.max || self.first() == Some(place);
        if let Some(open) = self.open.get_mut(&place) {
            open.waits = !may_read;
            open.excused |= !may_read;
        }
        if !may_read && self.look_at.is_none() {
            self.begin_window(Instant::now());
        }
        may_read
    }

    /// Counts what a connection has of its next message, after one was complete.
    #[inline]
    pub(super) fn is_complete(&mut self, begun: &mut Begun, connection: C, part: MessagePart) {
        if begun.is_some() {
            self.has_gone(begun);
            self.count(begun, connection, part);
        }
    }

    fn count(&mut self, begun: &mut Begun, connection: C, part: MessagePart) {
        if part.held <= FREE {
            return self.has_gone(begun);
        }
        let place = *begun.get_or_insert_with(|| {
            self.next += 1;
            self.next
        });
        let open = self.open.entry(place).or_insert(Open {
            connection,
            part: MessagePart::default(),
            came: 0,
            waits: false,
            paused: false,
            excused: true,
        });
        open.came += part.came.saturating_sub(open.part.came);
        self.bytes = self.bytes.saturating_sub(open.part.held).saturating_add(part.held);
        open.part = part;
    }

    /// The connection has no large message any more.
    pub(super) fn has_gone(&mut self, begun: &mut Begun) {
        if let Some(open) = begun.take().and_then(|place| self.open.remove(&place)) {
            self.bytes = self.bytes.saturating_sub(open.part.held);
            self.changed = true;
        }
    }

    /// The router's owner stops reading the connection, or reads it again.
    pub(super) fn pause(&mut self, begun: Begun, paused: bool) {
        if let Some(open) = begun.and_then(|place| self.open.get_mut(&place)) {
            (open.paused, open.excused) = (paused, true);
            self.changed = true;
        }
    }

    /// The one whose message began first, of those that may be read at all.
    fn first(&self) -> Option<u64> {
        self.open.iter().find(|(_, open)| !open.paused).map(|(place, _)| *place)
    }

    /// The connections that need not wait any more.
    #[inline]
    pub(super) fn take_resumed(&mut self) -> Vec<C> {
        if !std::mem::take(&mut self.changed) {
            return Vec::new();
        }
        let has_room = self.bytes < self.max;
        let first = self.first();
        let waiting = self.open.iter_mut().filter(|(_, open)| open.waits);
        let resumed = waiting.filter(|(place, _)| has_room || Some(**place) == first);
        let resumed = resumed.map(|(_, open)| {
            open.waits = false;
            open.connection
        });
        resumed.collect()
    }

    /// Whether there may be something to resume.
    pub(super) fn has_changed(&self) -> bool {
        self.changed
    }

    /// The connections that wait for room, ten times a second at the most.
    pub(super) fn waiting(&mut self, now: Instant) -> Vec<C> {
        if self.name_at.is_some_and(|at| at > now) {
            return Vec::new();
        }
        self.name_at = Some(now + NAME_EVERY);
        self.open.values().filter(|open| open.waits).map(|open| open.connection).collect()
    }

    /// When those that bring too little end, if there are any.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.look_at
    }

    /// The connections that have brought too little while others waited.
    pub(super) fn slow(&mut self, now: Instant) -> Vec<C> {
        if self.look_at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        if !self.open.values().any(|open| open.waits) {
            // Nobody needs their room any more.
            self.look_at = None;
            return Vec::new();
        }
        let slow = self.open.values().filter(|open| !open.excused && open.came < LEAST);
        let slow = slow.map(|open| open.connection).collect();
        self.begin_window(now);
        slow
    }

    fn begin_window(&mut self, now: Instant) {
        self.look_at = Some(now + WINDOW);
        for open in self.open.values_mut() {
            open.came = 0;
            open.excused = open.waits || open.paused;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    /// Connections that read a mebibyte at a time.
    struct Peers {
        incomplete: Incomplete<usize>,
        begun: [Begun; 4],
        bytes: [usize; 4],
    }

    fn part(bytes: usize) -> MessagePart {
        MessagePart { came: bytes, held: bytes }
    }

    impl Peers {
        fn new() -> Self {
            Peers { incomplete: Incomplete::new(4 * MIB), begun: [None; 4], bytes: [0; 4] }
        }

        fn reads(&mut self, number: usize) -> bool {
            let part = part(self.bytes[number]);
            let may = self.incomplete.may_read(&mut self.begun[number], number, part);
            if may {
                self.bytes[number] += MIB;
            }
            may
        }

        fn completes(&mut self, number: usize) {
            self.bytes[number] = 0;
            self.incomplete.is_complete(&mut self.begun[number], number, part(0));
        }
    }

    #[test]
    fn beyond_the_limit_only_the_first_is_read_and_the_others_follow() {
        let mut peers = Peers::new();
        for number in [2, 0, 1, 2] {
            assert!(peers.reads(number));
        }
        // Each has counted what it had before its last read.
        assert!(peers.reads(0) && peers.reads(1));
        assert!(!peers.reads(0) && !peers.reads(1));
        assert_eq!(peers.incomplete.take_resumed(), []);
        let now = Instant::now();
        assert_eq!(peers.incomplete.waiting(now), [0, 1]);
        assert_eq!(peers.incomplete.waiting(now), [], "they were named just now");
        assert_eq!(peers.incomplete.waiting(now + NAME_EVERY), [0, 1]);
        assert!((0..10).all(|_| peers.reads(2)), "its message began first");
        assert!(!peers.reads(0));
        assert!(!peers.incomplete.has_changed());
        peers.completes(2);
        assert!(peers.incomplete.has_changed());
        assert_eq!(peers.incomplete.take_resumed(), [0]);
        assert!(peers.reads(0) && !peers.reads(1));
        peers.completes(0);
        assert_eq!(peers.incomplete.take_resumed(), [1]);
        peers.completes(1);
        assert_eq!((peers.incomplete.bytes, peers.incomplete.open.len()), (0, 0));
    }

    #[test]
    fn a_small_message_is_not_counted() {
        let mut incomplete = Incomplete::new(0);
        let mut begun = None;
        assert!(incomplete.may_read(&mut begun, (), part(FREE)));
        assert!(begun.is_none() && incomplete.open.is_empty());
        // The limit is low, and the first one is read.
        assert!(incomplete.may_read(&mut begun, (), part(FREE + 1)));
        incomplete.is_complete(&mut begun, (), part(FREE + 2));
        assert!(begun.is_some());
        incomplete.has_gone(&mut begun);
        assert_eq!((begun, incomplete.bytes), (None, 0));
        // Memory counts before the bytes have come.
        assert!(incomplete.may_read(&mut begun, (), MessagePart { came: 1, held: MIB }));
        assert_eq!(incomplete.bytes, MIB);
    }

    #[test]
    fn a_connection_that_its_owner_does_not_read_keeps_nobody_waiting() {
        let mut peers = Peers::new();
        (0..4).for_each(|_| assert!(peers.reads(0)));
        assert!(peers.reads(1) && peers.reads(0) && !peers.reads(1));
        peers.incomplete.pause(peers.begun[0], true);
        assert_eq!(peers.incomplete.take_resumed(), [1]);
        assert!(peers.reads(1));
        peers.incomplete.pause(peers.begun[0], false);
        assert!(!peers.reads(1) && peers.reads(0));
    }

    #[test]
    fn who_brings_too_little_while_others_wait_ends() {
        let mut peers = Peers::new();
        for number in [0, 1, 2, 0, 1, 2, 0, 1, 2] {
            peers.reads(number);
        }
        assert!(!peers.reads(2));
        let start = peers.incomplete.next_look().unwrap();
        assert_eq!(peers.incomplete.slow(start - WINDOW), []);
        // 0 is read and brings nothing, 1 and 2 wait.
        assert!(!peers.reads(1));
        assert_eq!(peers.incomplete.slow(start), [0]);
        // As long as somebody waits there is a next window.
        assert_eq!(peers.incomplete.next_look(), Some(start + WINDOW));
        peers.incomplete.has_gone(&mut peers.begun[0]);
        assert_eq!(peers.incomplete.take_resumed(), [1]);
        assert!(peers.reads(1));
        peers.completes(1);
        assert_eq!(peers.incomplete.take_resumed(), [2]);
        assert!(peers.reads(2));
        assert_eq!(peers.incomplete.slow(start + WINDOW), [], "each was held back in this window");
        assert_eq!(peers.incomplete.next_look(), None, "nobody waits");
    }
}
