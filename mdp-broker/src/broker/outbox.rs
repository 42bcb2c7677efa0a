//! Outgoing packets, one for each session with records to send.

use mdp_protocol::broker::Outgoing;
use mdp_protocol::wire::{Direction, Record};
use mdp_protocol::{Key, Limit, Limits};

use super::unread::{Account, Accounts, Ticket, cost};
use crate::listing;
use mdp_call::body::{Body, Packer};
use mdp_transport::{InPacket, Router, Unsent};

/// The number of bytes that are collected for a session before they are counted, so that small records need no counting
/// of their own.
const CHARGE_FROM: usize = 8 * 1024;

/// The collected records of each session, and the list of sessions that have some.
pub(super) struct Outbox {
    /// Indexed by the session's key.
    peers: Vec<Option<Peer>>,
    waiting: Vec<Key>,
    limits: Limits,
    accounts: Accounts,
}

struct Peer {
    key: Key,
    route: Box<[u8]>,
    packer: Packer,
    /// Whether the peer is in `waiting`.
    queued: bool,
    /// A packet could not be sent. No other packet follows it: a client that receives the broker's DISCONNECT may rely
    /// on having received everything before it (wire.md R49).
    broken: bool,
    account: Account,
    /// The bytes of the packet that are counted.
    charged: usize,
    /// Bytes of earlier small packets that were counted together with this packet.
    carried: usize,
    /// Whether the uncounted part of the packet has only REQUESTs and items of their streams.
    requests: bool,
}

/// The reason why a message could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The router reported an error.
    Socket(Unsent),
    /// The peer has too many unread bytes, by this limit.
    Unread(Limit),
}

/// A packet that could not be sent to a session.
pub(super) struct Failed {
    pub(super) session: Key,
    pub(super) failure: Failure,
    pub(super) packet: InPacket,
}

impl Outbox {
    pub(super) fn new(limits: Limits) -> Self {
        Outbox { peers: Vec::new(), waiting: Vec::new(), limits, accounts: Accounts::default() }
    }

    /// Adds a session. `local`: the peer is in this process.
    pub(super) fn open(&mut self, key: Key, route: Box<[u8]>, local: bool) {
        let place = key.index() as usize;
        if self.peers.len() <= place {
            self.peers.resize_with(place + 1, || None);
        }
        if let Some(slot) = self.peers.get_mut(place) {
            let account = self.accounts.open(key, &route, local);
            let peer = Peer {
                key,
                route,
                packer: Packer::default(),
                queued: false,
                broken: false,
                account,
                charged: 0,
                carried: 0,
                requests: true,
            };
            *slot = Some(peer);
        }
    }

    /// The routing id of a session.
    pub(super) fn route(&self, session: Key) -> Option<&[u8]> {
        let peer = self.peers.get(session.index() as usize)?.as_ref();
        peer.filter(|peer| peer.key == session).map(|peer| &*peer.route)
    }

    /// Adds a record for a session. A full packet is sent at once.
    pub(super) fn put(
        &mut self,
        router: &mut Router,
        to: Key,
        record: &Outgoing<Body>,
    ) -> Result<(), Failed> {
        let Some(peer) = peer(&mut self.peers, to) else { return Ok(()) };
        if peer.broken && !matches!(record, Record::Request { .. }) {
            return Ok(());
        }
        listing::put(&mut peer.packer, record);
        if peer.broken {
            // It comes back, as those in the packet that failed.
            return Err(peer.fail(Failure::Socket(Unsent::Gone)));
        }
        peer.requests &= is_for_worker(record);
        if peer.cost() >= peer.charged + CHARGE_FROM {
            peer.charge(&self.limits, &mut self.accounts)?;
        }
        if peer.packer.is_full() {
            return peer.flush(router, &self.limits, &mut self.accounts);
        }
        if !peer.queued {
            peer.queued = true;
            self.waiting.push(to);
        }
        Ok(())
    }

    /// Sends to a session directly instead of in packets: `send` gets the routing id, the limits, and the session's
    /// account. Returns the result of `send`. `None`: the session does not accept messages. After an error no more
    /// messages are sent to it.
    pub(super) fn send_by<E>(
        &mut self,
        to: Key,
        send: impl FnOnce(&[u8], &Limits, &mut Account) -> Result<(), E>,
    ) -> Option<Result<(), E>> {
        let peer = peer(&mut self.peers, to).filter(|peer| !peer.broken)?;
        self.accounts.before_charge(&mut peer.account);
        let sent = send(&peer.route, &self.limits, &mut peer.account);
        peer.broken = sent.is_err();
        self.accounts.note(to, &mut peer.account);
        Some(sent)
    }

    /// Answers a connection, with or without a session. A peer that does not read gets no further answer.
    pub(super) fn answer(
        &mut self,
        session: Option<Key>,
        route: &[u8],
        send: impl FnOnce(&Limits, &mut Account),
    ) {
        match session.and_then(|session| peer(&mut self.peers, session)) {
            Some(peer) => {
                self.accounts.before_charge(&mut peer.account);
                send(&self.limits, &mut peer.account);
                self.accounts.note(peer.key, &mut peer.account);
            }
            None => {
                if let Some(account) = self.accounts.stranger(route) {
                    send(&self.limits, account);
                }
            }
        }
    }

    /// Sends the collected records of one session after another; stops at the first error.
    pub(super) fn flush(&mut self, router: &mut Router) -> Result<(), Failed> {
        while let Some(key) = self.waiting.pop() {
            if let Some(peer) = peer(&mut self.peers, key) {
                peer.queued = false;
                peer.flush(router, &self.limits, &mut self.accounts)?;
            }
        }
        Ok(())
    }

    /// Takes what a session was to be sent.
    pub(super) fn take(&mut self, session: Key) -> Option<InPacket> {
        let peer = peer(&mut self.peers, session).filter(|peer| !peer.packer.is_empty())?;
        let charged = peer.take_charged();
        peer.account.refund(charged);
        Some(peer.packer.take())
    }

    /// Sends the remaining records of a session, as far as possible, and removes the session.
    pub(super) fn close(&mut self, router: &mut Router, key: Key) {
        let place = key.index() as usize;
        if let Some(slot) = self.peers.get_mut(place)
            && slot.as_ref().is_some_and(|peer| peer.key == key)
            && let Some(mut peer) = slot.take()
        {
            // A closed session loses the records that could not be sent.
            let _ = peer.flush(router, &self.limits, &mut self.accounts);
            self.accounts.close(key, peer.route, peer.account);
        }
    }

    /// Starts the next input.
    pub(super) fn begin(&mut self) {
        self.accounts.begin();
    }

    /// Whether there are unread bytes to report.
    pub(super) fn has_reports(&self) -> bool {
        self.accounts.has_reports()
    }

    /// The next session to report, possibly one that has ended, with the unread bytes of its connection.
    pub(super) fn next_report(&mut self) -> Option<(Key, usize)> {
        while let Some(key) = self.accounts.next_noted() {
            if let Some(peer) = peer(&mut self.peers, key) {
                return Some((key, self.accounts.report(key, &mut peer.account)));
            }
        }
        self.accounts.next_report()
    }

    /// Checks what peers have read meanwhile: some peers, or all.
    pub(super) fn look(&mut self, all: bool) {
        if self.accounts.is_watching() {
            let peers = &mut self.peers;
            self.accounts.look(all, |key, see| see(peer(peers, key).map(|peer| &mut peer.account)));
        }
    }

    /// Checks what one peer has read meanwhile.
    pub(super) fn look_at(&mut self, key: Key) {
        if self.accounts.is_watching()
            && let Some(peer) = peer(&mut self.peers, key)
        {
            self.accounts.note(key, &mut peer.account);
        }
    }
}

impl Peer {
    fn cost(&self) -> usize {
        match self.packer.is_empty() {
            true => 0,
            false => {
                let (bytes, frames) = self.packer.size();
                cost(bytes, frames)
            }
        }
    }

    /// Counts the uncounted part of the packet.
    fn charge(&mut self, limits: &Limits, accounts: &mut Accounts) -> Result<(), Failed> {
        let more = self.cost().saturating_sub(self.charged);
        if more == 0 {
            return Ok(());
        }
        let before = self.account.take_uncounted();
        accounts.before_charge(&mut self.account);
        let requests = std::mem::replace(&mut self.requests, true);
        if let Err(limit) = self.account.charge(limits, more + before, requests) {
            return Err(self.fail(Failure::Unread(limit)));
        }
        self.charged += more;
        self.carried += before;
        accounts.note(self.key, &mut self.account);
        Ok(())
    }

    fn flush(
        &mut self,
        router: &mut Router,
        limits: &Limits,
        accounts: &mut Accounts,
    ) -> Result<(), Failed> {
        if self.packer.is_empty() {
            return Ok(());
        }
        if self.charged == 0
            && self.packer.is_one_frame()
            && self.account.passes_uncounted(self.cost())
        {
            return send_to(router, &self.route, &mut self.packer, None)
                .map_err(|error| self.fail(Failure::Socket(error)));
        }
        self.charge(limits, accounts)?;
        // The ticket counts from here on, even if the send fails.
        let charged = self.take_charged();
        let ticket = self.account.ticket(charged);
        send_to(router, &self.route, &mut self.packer, Some(ticket))
            .map_err(|error| self.fail(Failure::Socket(error)))
    }

    /// The counted bytes that are not in a ticket.
    fn take_charged(&mut self) -> usize {
        std::mem::take(&mut self.charged) + std::mem::take(&mut self.carried)
    }

    fn fail(&mut self, failure: Failure) -> Failed {
        self.broken = true;
        let charged = self.take_charged();
        self.account.refund(charged);
        Failed { session: self.key, failure, packet: self.packer.take() }
    }
}

/// Whether a record carries a client's message to a worker.
fn is_for_worker(record: &Outgoing<Body>) -> bool {
    matches!(record, Record::Request { .. } | Record::Data { of: Direction::Requests, .. })
}

fn peer(peers: &mut [Option<Peer>], key: Key) -> Option<&mut Peer> {
    peers.get_mut(key.index() as usize)?.as_mut().filter(|peer| peer.key == key)
}

/// Sends an answer in a separate packet, if the receiver reads.
pub(super) fn answer_packet(
    router: &mut Router,
    route: &[u8],
    record: &Outgoing<Body>,
    limits: &Limits,
    account: &mut Account,
) {
    let mut packer = Packer::default();
    listing::put(&mut packer, record);
    let (bytes, frames) = packer.size();
    let bytes = cost(bytes, frames);
    if account.charge(limits, bytes, false).is_ok() {
        // A peer without a session that does not read gets no second answer.
        let _ = send_to(router, route, &mut packer, Some(account.ticket(bytes)));
    }
}

/// Sends a packet to a routing id. The ticket is dropped when the packet is written, or with an error.
fn send_to(
    router: &mut Router,
    route: &[u8],
    packer: &mut Packer,
    ticket: Option<Ticket>,
) -> Result<(), Unsent> {
    router.send(route, packer.packet(), ticket)?;
    packer.clear();
    Ok(())
}
