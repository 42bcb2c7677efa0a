//! Unread bytes of peers: bytes that the socket has accepted for a connection and has not written yet.
//!
//! No transport reports how many bytes wait for a peer. A transport drops a message after writing it, or when the
//! connection is gone, and the message's [`Ticket`] is dropped with it. So the count of a connection is the bytes that were sent
//! and not dropped, plus the bytes that the broker has collected for it. The count belongs to the connection (the
//! routing id): it remains when a session ends.
//!
//! A ticket costs more than a small message. So small messages have no ticket, and are counted with the next message
//! that has one. A socket writes a connection's messages in order: when that message is written, the small ones before it
//! are, too. So up to [`MAX_UNCOUNTED`] bytes of a connection are not counted.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mdp_protocol::broker::UNREAD_STEP;
use mdp_protocol::{Key, Limit, Limits};

/// The memory that a socket needs for a frame in addition to the frame's bytes, rounded up.
const FRAME_BYTES: usize = 256;
/// The number of bytes that a connection may be sent before they are counted: 4 KiB.
const MAX_UNCOUNTED: usize = 4 << 10;
/// Maximum number of connections with unread bytes but no session. Beyond that, a peer without a session gets no
/// answer.
const MAX_STRANGERS: usize = 4_096;

/// The count for frames with this many bytes.
pub(super) fn cost(bytes: usize, frames: usize) -> usize {
    bytes + frames * FRAME_BYTES
}

/// The unread bytes of a connection, and of all connections together.
#[derive(Debug)]
struct Count {
    bytes: AtomicUsize,
    all: Arc<AtomicUsize>,
}

impl Count {
    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Adds these bytes. Returns the new bytes of the connection, and of all connections.
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

/// The account of a connection: its unread bytes, and the value that was reported to the core.
#[derive(Debug)]
pub(super) struct Account {
    count: Arc<Count>,
    /// The peer is in the same process: its messages are in its own memory, and the socket drops them when the peer does.
    local: bool,
    /// Bytes that were sent and are not counted yet. At least one message has a ticket before any message goes without
    /// one: this keeps the account of a connection that does not read.
    uncounted: Option<usize>,
    reported: usize,
    /// The bytes that were added during this input.
    added: usize,
    input: u64,
    /// Whether the account is in the list of accounts to report.
    noted: bool,
    /// Whether the account is in the list of accounts to check.
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

    /// Whether a message with this many bytes may be sent without being counted now. It is counted with the next
    /// message that may not.
    pub(super) fn passes_uncounted(&mut self, bytes: usize) -> bool {
        let Some(uncounted) = &mut self.uncounted else { return false };
        if uncounted.saturating_add(bytes) > MAX_UNCOUNTED {
            return false;
        }
        *uncounted += bytes;
        true
    }

    /// Takes the uncounted bytes: they are charged with the next message.
    pub(super) fn take_uncounted(&mut self) -> usize {
        self.uncounted.replace(0).unwrap_or_default()
    }

    /// Counts bytes that are going to be sent, unless they exceed a limit. Then nothing is counted.
    ///
    /// `requests`: the bytes are only REQUESTs and items of their streams. A worker is held back before it has too many
    /// unread bytes, and a client has sent the same number of bytes, so they need not leave room for other messages.
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

    /// Takes back bytes that were charged and cannot be sent.
    pub(super) fn refund(&self, bytes: usize) {
        self.count.remove(bytes);
    }

    /// Moves the bytes that were charged for a message into a ticket.
    pub(super) fn ticket(&self, bytes: usize) -> Ticket {
        Ticket { count: Arc::clone(&self.count), bytes }
    }

    /// The unread bytes to report to the core: 0 below one step.
    fn unread(&self) -> usize {
        let bytes = if self.local { 0 } else { self.count.bytes() };
        if bytes < UNREAD_STEP { 0 } else { bytes }
    }

    fn is_stale(&self) -> bool {
        let now = self.unread();
        now.abs_diff(self.reported) >= UNREAD_STEP || (now == 0 && self.reported > 0)
    }
}

/// The limit that a message exceeds when it takes a connection from `before` to `after` unread bytes, and all
/// connections to `all`.
fn check(
    limits: &Limits,
    before: usize,
    after: usize,
    all: usize,
    requests: bool,
) -> Result<(), Limit> {
    let small = limits.unread_small();
    // Small messages and REQUESTs may use an additional reserve after the limit is reached.
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

/// The accounts of connections without a session, and the reports about all accounts.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    all: Arc<AtomicUsize>,
    /// Connections with unread bytes but no session.
    strangers: HashMap<Box<[u8]>, Stranger>,
    /// Reports for the former sessions of these connections.
    reports: Vec<(Key, usize)>,
    /// Sessions whose unread bytes are to be reported.
    noted: Vec<Key>,
    /// Sessions whose unread bytes were reported.
    watched: Vec<Key>,
    /// The index in `watched` at which the next check begins.
    next: usize,
    input: u64,
    looks: u64,
}

#[derive(Debug)]
struct Stranger {
    account: Account,
    /// The connection's last session, if unread bytes were reported for it.
    session: Option<Key>,
}

/// The number of accounts that one check covers.
const LOOK: usize = 64;

impl Accounts {
    /// Starts the next input.
    pub(super) fn begin(&mut self) {
        self.input = self.input.wrapping_add(1);
    }

    /// The account of a new session: that of its connection, if there is one.
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

    /// Removes a session's account. The unread bytes of its connection still count.
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

    /// The account of a connection without a session; `None` if too many of these do not read.
    pub(super) fn stranger(&mut self, route: &[u8]) -> Option<&mut Account> {
        if !self.strangers.contains_key(route) {
            if self.strangers.len() >= MAX_STRANGERS {
                self.look_at_strangers();
            }
            if self.strangers.len() >= MAX_STRANGERS {
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

    /// Records that bytes were sent to a session, and lists the session for a report if necessary.
    pub(super) fn note(&mut self, session: Key, account: &mut Account) {
        if account.input != self.input {
            (account.input, account.added) = (self.input, 0);
        }
        // Within an input, the core holds a worker back by the bytes that it has sent itself, until the next report.
        if !account.noted && (account.added >= UNREAD_STEP / 2 || account.is_stale()) {
            account.noted = true;
            self.noted.push(session);
        }
    }

    /// Begins a charge: bytes that were added before belong to another input.
    pub(super) fn before_charge(&self, account: &mut Account) {
        if account.input != self.input {
            (account.input, account.added) = (self.input, 0);
        }
    }

    /// Whether there is something to report.
    pub(super) fn has_reports(&self) -> bool {
        !self.noted.is_empty() || !self.reports.is_empty()
    }

    /// The next session to report; [`report`](Self::report) returns its value.
    pub(super) fn next_noted(&mut self) -> Option<Key> {
        self.noted.pop()
    }

    /// The next report about a session that has ended.
    pub(super) fn next_report(&mut self) -> Option<(Key, usize)> {
        self.reports.pop()
    }

    /// The value to report for a session.
    pub(super) fn report(&mut self, session: Key, account: &mut Account) -> usize {
        account.noted = false;
        account.reported = account.unread();
        if account.reported > 0 && !account.watched {
            account.watched = true;
            self.watched.push(session);
        }
        account.reported
    }

    /// Whether there are accounts to check.
    pub(super) fn is_watching(&self) -> bool {
        !self.watched.is_empty() || !self.strangers.is_empty()
    }

    /// Checks some accounts, or all, and lists those that have changed. `find` gives the account of a session.
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
        // The first message has a ticket.
        assert!(!account.passes_uncounted(300));
        assert_eq!(account.take_uncounted(), 0);
        assert_eq!(account.charge(&limits, 300, false), Ok(()));
        let first = account.ticket(300);
        assert!(account.passes_uncounted(3_000));
        assert!(account.passes_uncounted(1_000));
        assert!(!account.passes_uncounted(97), "not more than 4,096");
        assert!(account.passes_uncounted(96));
        assert_eq!(account.count.bytes(), 300);
        // The connection has not read the first message, so its account stays with all its bytes.
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
        // Of 96 MiB, 26 MiB are left after the message, and 10 MiB are less than half of that.
        assert_eq!(fits(9 * MIB, 10 * MIB, 60 * MIB), Ok(()));
        assert_eq!(fits(15 * MIB, 16 * MIB, 60 * MIB), Err(Limit::UnreadBytes));
        // A connection that reads may get a message of any size, as long as there is room.
        assert_eq!(fits(1_000, 4 * MIB, 123 * MIB), Ok(()));
        assert_eq!(fits(1_000, 4 * MIB, 125 * MIB), Err(Limit::UnreadBytes));
        // Small messages and REQUESTs have more room.
        assert_eq!(fits(0, 1_000, 140 * MIB), Ok(()));
        assert_eq!(fits(0, 1_000, 144 * MIB), Err(Limit::UnreadBytes));
        assert_eq!(check(&limits, 9 * MIB, 10 * MIB, 140 * MIB, true), Ok(()));
    }

    /// Each connection asks for 1 MiB at a time until it gets no more, the first connections before the last ones,
    /// which is the worst order. A connection that reads still gets a message.
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
