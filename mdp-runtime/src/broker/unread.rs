//! What peers have not read: bytes that libzmq has taken for a connection and has not written yet.
//!
//! libzmq does not say how much waits for a peer. It drops a message when it has written it, or when the connection is
//! gone, and a [`Ticket`] is dropped with it. So the count of a connection is what was sent and not dropped, and what the
//! broker has gathered for it. It belongs to the connection (the routing id): a session that ends leaves it behind.
//!
//! A ticket costs more than a small message does. So small messages go without one, and are counted with the next message
//! that has one. libzmq writes a connection's messages in order: when that one is written, they are, too. So up to
//! [`UNCOUNTED_MOST`] bytes of a connection are not counted.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mdp_protocol::broker::UNREAD_STEP;
use mdp_protocol::{Key, Limit, Limits};

/// What libzmq keeps for a frame besides its bytes, rounded up.
const FRAME_BYTES: usize = 256;
/// The bytes that a connection may be sent before they are counted. 4 KiB.
const UNCOUNTED_MOST: usize = 4 << 10;
/// Connections without a session that have something unread. Beyond that a peer without a session gets no answer.
const STRANGERS_MOST: usize = 4_096;

/// The bytes that frames with these bytes count as.
pub(super) fn cost(bytes: usize, frames: usize) -> usize {
    bytes + frames * FRAME_BYTES
}

/// The unread bytes of a connection, and of all together.
#[derive(Debug)]
struct Count {
    bytes: AtomicUsize,
    all: Arc<AtomicUsize>,
}

impl Count {
    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The bytes of the connection, and of all, with these added.
    fn add(&self, bytes: usize) -> (usize, usize) {
        let own = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        (own, self.all.fetch_add(bytes, Ordering::Relaxed) + bytes)
    }

    fn remove(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.all.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Counts a message until it is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    count: Arc<Count>,
    bytes: usize,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.count.remove(self.bytes);
    }
}

/// The account of a connection: what it has unread, and what of that the machine was told.
#[derive(Debug)]
pub(super) struct Account {
    count: Arc<Count>,
    /// The peer is in the same process: its messages are its own memory, and libzmq drops them when the peer does.
    local: bool,
    /// Bytes that were sent and are not counted yet. At least one message has a ticket before any goes without: it keeps
    /// the account of a connection that does not read.
    uncounted: Option<usize>,
    reported: usize,
    /// What was added within this input.
    added: usize,
    input: u64,
    /// It stands in the list of those to report.
    noted: bool,
    /// It stands in the list of those to look at.
    watched: bool,
}

impl Account {
    fn new(count: Arc<Count>, local: bool) -> Self {
        Account {
            count,
            local,
            uncounted: None,
            reported: 0,
            added: 0,
            input: 0,
            noted: false,
            watched: false,
        }
    }

    /// Whether a message with so many bytes may go without being counted now. They count with the next that may not.
    pub(super) fn passes_uncounted(&mut self, bytes: usize) -> bool {
        let Some(uncounted) = &mut self.uncounted else { return false };
        if uncounted.saturating_add(bytes) > UNCOUNTED_MOST {
            return false;
        }
        *uncounted += bytes;
        true
    }

    /// The bytes that went without being counted: they are to be charged with the next message.
    pub(super) fn take_uncounted(&mut self) -> usize {
        self.uncounted.replace(0).unwrap_or_default()
    }

    /// Counts bytes that are to be sent, unless they are too many. Then nothing is counted.
    ///
    /// `requests`: they are REQUESTs, and items of their streams, only. A worker is held back before it has too much unread,
    /// and somebody has sent the same number of bytes, so they need not leave room for others.
    pub(super) fn charge(
        &mut self,
        limits: &Limits,
        bytes: usize,
        requests: bool,
    ) -> Result<(), Limit> {
        let (after, all) = self.count.add(bytes);
        if !self.local
            && let Err(limit) = check(limits, after.saturating_sub(bytes), after, all, requests)
        {
            self.count.remove(bytes);
            return Err(limit);
        }
        self.added += bytes;
        Ok(())
    }

    /// Takes back what was charged and cannot be sent.
    pub(super) fn refund(&self, bytes: usize) {
        self.count.remove(bytes);
    }

    /// Gives what was charged for a message into a ticket.
    pub(super) fn ticket(&self, bytes: usize) -> Ticket {
        Ticket { count: Arc::clone(&self.count), bytes }
    }

    /// What the machine is to know: 0 below a step.
    fn unread(&self) -> usize {
        let bytes = if self.local { 0 } else { self.count.bytes() };
        if bytes < UNREAD_STEP { 0 } else { bytes }
    }

    fn is_stale(&self) -> bool {
        let now = self.unread();
        now.abs_diff(self.reported) >= UNREAD_STEP || (now == 0 && self.reported > 0)
    }
}

/// The limit that a message meets which takes a connection from `before` to `after` unread bytes, and all together to `all`.
fn check(
    limits: &Limits,
    before: usize,
    after: usize,
    all: usize,
    requests: bool,
) -> Result<(), Limit> {
    let small = limits.unread_small();
    // Small messages and REQUESTs go on for a while when everything is used up.
    let spare = if requests || after <= small { limits.unread_bytes / 8 } else { 0 };
    if all > limits.unread_bytes.saturating_add(spare) {
        return Err(Limit::UnreadBytes);
    }
    if before <= small {
        // A connection that reads may be sent a message of any size.
        return Ok(());
    }
    if after > limits.unread_bytes_per_session {
        return Err(Limit::UnreadBytesPerSession);
    }
    match requests || after <= limits.unread_share(all) {
        true => Ok(()),
        false => Err(Limit::UnreadBytes),
    }
}

/// The accounts of connections without a session, and what is to be reported of all.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    all: Arc<AtomicUsize>,
    /// Connections that have something unread and no session.
    strangers: HashMap<Box<[u8]>, Stranger>,
    /// Of those, the sessions that they had.
    reports: Vec<(Key, usize)>,
    /// Sessions whose unread bytes are to be reported.
    noted: Vec<Key>,
    /// Sessions with unread bytes that were reported.
    watched: Vec<Key>,
    /// Where the next look at these begins.
    next: usize,
    input: u64,
    looks: u64,
}

#[derive(Debug)]
struct Stranger {
    account: Account,
    /// The last session that it had, if its unread bytes were reported for that.
    session: Option<Key>,
}

/// Accounts that one look checks.
const LOOK: usize = 64;

impl Accounts {
    /// The next input is handled.
    pub(super) fn begin(&mut self) {
        self.input = self.input.wrapping_add(1);
    }

    /// The account of a session that begins: that of its connection, if there is one.
    pub(super) fn open(&mut self, session: Key, route: &[u8], local: bool) -> Account {
        let Some(Stranger { account, session: before }) = self.strangers.remove(route) else {
            return Account::new(self.count(), local);
        };
        if account.reported > 0 {
            self.reports.extend(before.map(|before| (before, 0)));
        }
        let mut account =
            Account { uncounted: account.uncounted, ..Account::new(account.count, local) };
        self.note(session, &mut account);
        account
    }

    /// A session has ended. What its connection has not read goes on counting.
    pub(super) fn close(&mut self, session: Key, route: Box<[u8]>, mut account: Account) {
        if account.is_stale() {
            account.reported = account.unread();
            self.reports.push((session, account.reported));
        }
        if account.count.bytes() == 0 && account.reported == 0 {
            return;
        }
        (account.noted, account.watched) = (false, false);
        let session = (account.reported > 0).then_some(session);
        self.strangers.insert(route, Stranger { account, session });
    }

    /// The account of a connection without a session; `None` if there are too many that do not read.
    pub(super) fn stranger(&mut self, route: &[u8]) -> Option<&mut Account> {
        if !self.strangers.contains_key(route) {
            if self.strangers.len() >= STRANGERS_MOST {
                self.look_at_strangers();
            }
            if self.strangers.len() >= STRANGERS_MOST {
                return None;
            }
            let account = Account::new(self.count(), false);
            self.strangers.insert(route.into(), Stranger { account, session: None });
        }
        self.strangers.get_mut(route).map(|found| &mut found.account)
    }

    fn count(&self) -> Arc<Count> {
        Arc::new(Count { bytes: AtomicUsize::new(0), all: Arc::clone(&self.all) })
    }

    /// Something was sent to a session: it is reported if that is to be known.
    pub(super) fn note(&mut self, session: Key, account: &mut Account) {
        if account.input != self.input {
            (account.input, account.added) = (self.input, 0);
        }
        // The machine holds a worker back by what it has given to it within an input, until it hears more.
        if !account.noted && (account.added >= UNREAD_STEP / 2 || account.is_stale()) {
            account.noted = true;
            self.noted.push(session);
        }
    }

    /// Begins a charge: what was added before belongs to another input.
    pub(super) fn before_charge(&self, account: &mut Account) {
        if account.input != self.input {
            (account.input, account.added) = (self.input, 0);
        }
    }

    /// Whether something is to be reported.
    pub(super) fn has_reports(&self) -> bool {
        !self.noted.is_empty() || !self.reports.is_empty()
    }

    /// A session that is noted; [`report`](Self::report) says what of it.
    pub(super) fn next_noted(&mut self) -> Option<Key> {
        self.noted.pop()
    }

    /// The next report about a session that has ended.
    pub(super) fn next_report(&mut self) -> Option<(Key, usize)> {
        self.reports.pop()
    }

    /// What is to be reported of a session.
    pub(super) fn report(&mut self, session: Key, account: &mut Account) -> usize {
        account.noted = false;
        account.reported = account.unread();
        if account.reported > 0 && !account.watched {
            account.watched = true;
            self.watched.push(session);
        }
        account.reported
    }

    /// Whether there is anything to look at.
    pub(super) fn is_watching(&self) -> bool {
        !self.watched.is_empty() || !self.strangers.is_empty()
    }

    /// Looks at some accounts, or at all, and notes those that have changed. `find` gives the account of a session.
    pub(super) fn look(
        &mut self,
        all: bool,
        mut find: impl FnMut(Key, &mut dyn FnMut(Option<&mut Account>)),
    ) {
        self.looks = self.looks.wrapping_add(1);
        if all || self.strangers.len() <= LOOK || self.looks.is_multiple_of(64) {
            self.look_at_strangers();
        }
        let rounds = if all { self.watched.len() } else { self.watched.len().min(LOOK) };
        for _ in 0..rounds {
            if self.next >= self.watched.len() {
                self.next = 0;
            }
            let Some(session) = self.watched.get(self.next).copied() else { break };
            let mut stays = false;
            find(session, &mut |account| {
                let Some(account) = account else { return };
                stays = account.reported > 0;
                account.watched = stays;
                if stays {
                    self.note(session, account);
                }
            });
            match stays {
                true => self.next += 1,
                false => drop(self.watched.swap_remove(self.next)),
            }
        }
    }

    fn look_at_strangers(&mut self) {
        let reports = &mut self.reports;
        self.strangers.retain(|_, Stranger { account, session }| {
            if account.is_stale() {
                account.reported = account.unread();
                reports.extend(session.map(|session| (session, account.reported)));
            }
            account.reported > 0 || account.count.bytes() > 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn small_messages_are_counted_with_the_next_ticket() {
        let mut accounts = Accounts::default();
        let limits = Limits::default();
        let session = Key::from_u64(1 << 32).unwrap();
        let mut account = Account::new(accounts.count(), false);
        // The first one has a ticket.
        assert!(!account.passes_uncounted(300));
        assert_eq!(account.take_uncounted(), 0);
        assert_eq!(account.charge(&limits, 300, false), Ok(()));
        let first = account.ticket(300);
        assert!(account.passes_uncounted(3_000));
        assert!(account.passes_uncounted(1_000));
        assert!(!account.passes_uncounted(97), "not more than 4,096");
        assert!(account.passes_uncounted(96));
        assert_eq!(account.count.bytes(), 300);
        // The connection has not read the first, so its account stays with all that it has.
        accounts.close(session, Box::from(*b"route"), account);
        let mut account = accounts.open(session, b"route", false);
        assert!(!account.passes_uncounted(1));
        let before = account.take_uncounted();
        assert_eq!(before, 4_096);
        assert_eq!(account.charge(&limits, before + 1, false), Ok(()));
        let second = account.ticket(before + 1);
        drop(first);
        assert_eq!(account.count.bytes(), 4_097);
        drop(second);
        assert_eq!(account.count.bytes(), 0);
    }

    #[test]
    fn a_connection_may_have_a_share_of_what_is_left() {
        let limits = Limits::default();
        let fits = |before, after, others| check(&limits, before, after, others + after, false);
        assert_eq!(fits(0, 4 * MIB, 0), Ok(()));
        assert_eq!(fits(28 * MIB, 32 * MIB, 0), Ok(()));
        assert_eq!(fits(29 * MIB, 33 * MIB, 0), Err(Limit::UnreadBytesPerSession));
        // Of 96 MiB 26 are left after it, and 10 are less than a half.
        assert_eq!(fits(9 * MIB, 10 * MIB, 60 * MIB), Ok(()));
        assert_eq!(fits(15 * MIB, 16 * MIB, 60 * MIB), Err(Limit::UnreadBytes));
        // One that reads may have one of any size, as long as there is room.
        assert_eq!(fits(1_000, 4 * MIB, 123 * MIB), Ok(()));
        assert_eq!(fits(1_000, 4 * MIB, 125 * MIB), Err(Limit::UnreadBytes));
        // Small ones, and REQUESTs, have more room.
        assert_eq!(fits(0, 1_000, 140 * MIB), Ok(()));
        assert_eq!(fits(0, 1_000, 144 * MIB), Err(Limit::UnreadBytes));
        assert_eq!(check(&limits, 9 * MIB, 10 * MIB, 140 * MIB, true), Ok(()));
    }

    /// Each asks for one MiB after another until it gets no more, the first ones before the last ones: that is the worst
    /// order. Who reads still gets one.
    #[test]
    fn many_that_do_not_read_leave_something_to_who_does() {
        let limits = Limits::default();
        for connections in [1, 3, 24, 40] {
            let mut all = 0;
            for _ in 0..connections {
                let mut own = 0;
                while check(&limits, own, own + MIB, all + MIB, false).is_ok() {
                    (own, all) = (own + MIB, all + MIB);
                }
            }
            assert_eq!(check(&limits, 0, MIB, all + MIB, false), Ok(()), "{connections}: {all}");
        }
    }
}
