//! Statistics: what each method, service and worker has done so far, counted at each step of a call.
//!
//! A row for a method is kept once a worker has answered one of its calls with anything but UNIMPLEMENTED. Until then
//! it is on trial, and there are few such rows: a client that calls methods which no worker has makes no new ones.
//! Counts for a removed row count for its service.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::Broker;
use super::durations::{Durations, Quantiles};
use super::io::Name;
use super::services::Service;
use crate::payload::Payload;
use crate::slab::{Key, Slab};
use crate::status::Code;
use crate::time::{Span, Time};
use crate::wire::listing::{CallStats, MethodLine};

/// Rows on trial at once.
const ON_TRIAL: usize = 64;
/// Paths that are found without a look into the map.
const RECENT: usize = 16;

/// The rows, and how they are found.
#[derive(Debug)]
pub(super) struct MethodStats {
    rows: Slab<Row>,
    by_path: HashMap<Name, Key, FixedState>,
    by_service: HashMap<Name, Key, FixedState>,
    trial: VecDeque<Key>,
    recent: [Option<Key>; RECENT],
}

#[derive(Debug)]
struct Row {
    /// A method's path, or a service's name.
    name: Name,
    /// How much of it is the service.
    service_len: u8,
    /// The service, as it was last found.
    service: Key,
    /// The row of the service; `None` for that itself.
    parent: Option<Key>,
    call_stats: CallStats,
    /// How long its calls of one request and one reply take.
    durations: Durations,
}

/// A method that has a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'p> {
    pub(super) row: Key,
    /// The service in its path.
    pub(super) name: &'p [u8],
    /// The service's key when it was last called; the service may be gone.
    pub(super) service: Key,
}

impl MethodStats {
    pub(super) fn new(hash: impl Fn() -> FixedState) -> Self {
        MethodStats {
            rows: Slab::new(),
            by_path: HashMap::with_hasher(hash()),
            by_service: HashMap::with_hasher(hash()),
            trial: VecDeque::new(),
            recent: [None; RECENT],
        }
    }

    /// The row of a service that gets its first worker.
    pub(super) fn of_service(&mut self, name: &Name, service: Key, max: usize) -> Option<Key> {
        if let Some(key) = self.by_service.get(name).copied() {
            self.rows.get_mut(key)?.service = service;
            return Some(key);
        }
        if self.by_service.len() >= max {
            return None;
        }
        let service_len = u8::try_from(name.len()).unwrap_or(u8::MAX);
        let call_stats = CallStats::default();
        let durations = Durations::default();
        let row =
            Row { name: name.clone(), service_len, service, parent: None, call_stats, durations };
        let key = self.rows.insert(row);
        self.by_service.insert(name.clone(), key);
        Some(key)
    }

    /// What is known of a method that was called before.
    #[inline]
    pub(super) fn find<'p>(&mut self, path: &'p [u8]) -> Option<Known<'p>> {
        let key = self.row_of(path)?;
        let row = self.rows.get(key)?;
        let name = path.get(..row.service_len.into())?;
        Some(Known { row: key, name, service: row.service })
    }

    /// The service of a row was found under another key, if it was found.
    pub(super) fn set_service(&mut self, row: Option<Key>, service: Option<Key>) {
        let Some(row) = row.and_then(|row| self.rows.get_mut(row)) else { return };
        row.service = service.unwrap_or(row.service);
    }

    fn row_of(&mut self, path: &[u8]) -> Option<Key> {
        let place = place_of(path);
        let recent = self.recent.get(place).copied().flatten();
        if recent.and_then(|key| self.rows.get(key)).is_some_and(|row| *row.name == *path) {
            return recent;
        }
        let found = self.by_path.get(path).copied()?;
        if let Some(recent) = self.recent.get_mut(place) {
            *recent = Some(found);
        }
        Some(found)
    }

    /// A row on trial for a method of a service that has workers.
    pub(super) fn on_trial(
        &mut self,
        path: &[u8],
        service_len: usize,
        parent: Option<Key>,
        service: Key,
    ) -> Option<Key> {
        let parent = parent?;
        if self.trial.len() >= ON_TRIAL
            && let Some(oldest) = self.trial.pop_front()
        {
            self.forget(oldest);
        }
        let name = Name::from(path);
        let service_len = u8::try_from(service_len).unwrap_or(u8::MAX);
        let (parent, call_stats, durations) =
            (Some(parent), CallStats::default(), Durations::default());
        let row = Row { name: name.clone(), service_len, service, parent, call_stats, durations };
        let row = self.rows.insert(row);
        self.by_path.insert(name, row);
        self.trial.push_back(row);
        Some(row)
    }

    fn forget(&mut self, key: Key) {
        let Some(row) = self.rows.remove(key) else { return };
        self.by_path.remove(&row.name);
        if let Some(service) = self.of(row.parent) {
            service.add(&row.call_stats);
        }
    }

    /// A worker has answered a call of this method.
    pub(super) fn answered(&mut self, key: Key, code: Code, max: usize) {
        if code == Code::Unimplemented || self.trial.is_empty() {
            return;
        }
        let Some(place) = self.trial.iter().position(|trial| *trial == key) else { return };
        if self.by_path.len() - self.trial.len() < max {
            self.trial.remove(place);
        }
    }

    /// The counters of a row.
    #[inline]
    pub(super) fn of(&mut self, row: Option<Key>) -> Option<&mut CallStats> {
        Some(&mut self.rows.get_mut(row?)?.call_stats)
    }

    #[inline]
    pub(super) fn has(&self, row: Key) -> bool {
        self.rows.get(row).is_some()
    }

    /// How long the calls take that count here, if that is known.
    #[inline]
    pub(super) fn quantiles(&self, row: Option<Key>) -> Option<Quantiles> {
        self.rows.get(row?)?.durations.quantiles()
    }

    /// The counters of a service, or of all: a line for each method, and one without method for the rest of its calls.
    pub(super) fn lines(&self, now: Time, service: Option<&[u8]>) -> Vec<MethodLine> {
        let on_trial = |key: &Key| self.trial.contains(key);
        let mut lines: HashMap<&[u8], Vec<MethodLine>, FixedState> =
            HashMap::with_hasher(self.by_path.hasher().clone());
        for (_, row) in self.rows.iter().filter(|(_, row)| row.parent.is_none()) {
            lines.insert(&row.name, alloc::vec![line(now, row, Name::from([]))]);
        }
        for (key, row) in self.rows.iter().filter(|(_, row)| row.parent.is_some()) {
            let (name, method) =
                row.name.split_at_checked(row.service_len.into()).unwrap_or_default();
            let Some(of_service) = lines.get_mut(name) else { continue };
            match (on_trial(&key), of_service.first_mut()) {
                (true, Some(whole)) => whole.call_stats.add(&row.call_stats),
                _ => {
                    let method = Name::from(method.get(1..).unwrap_or_default());
                    of_service.push(line(now, row, method));
                }
            }
        }
        let wanted =
            lines.into_iter().filter(|(name, _)| service.is_none_or(|service| service == *name));
        let mut lines: Vec<MethodLine> = wanted.flat_map(|(_, lines)| lines).collect();
        lines.sort_unstable_by(|a, b| (&a.service, &a.method).cmp(&(&b.service, &b.method)));
        lines
    }
}

impl<P: Payload> Broker<P> {
    /// Where a call counts: for its method, or for its service. Nowhere, if there is no service yet or too many have
    /// rows.
    fn call_stats(&mut self, call: Key) -> Option<&mut CallStats> {
        let call = self.calls.get_mut(call)?;
        if call.row().is_none_or(|row| !self.method_stats.has(row)) {
            call.set_row(self.services.get(call.service()).and_then(Service::row));
        }
        self.method_stats.of(call.row())
    }

    /// The client of a call gets another code than OK.
    pub(super) fn count_failure(&mut self, now: Time, call: Key, code: Code) {
        if let Some(call_stats) = self.call_stats(call) {
            call_stats.count_error(now, code);
        }
    }

    /// A worker that held this call was lost, and another one gets it.
    pub(super) fn count_loss(&mut self, call: Key) {
        if let Some(call_stats) = self.call_stats(call) {
            call_stats.redispatched += 1;
        }
    }

    /// A call was given to a worker. One that came before its service had any worker counts from here.
    pub(super) fn count_dispatch(&mut self, key: Key, body: &P) {
        let Some(call) = self.calls.get(key) else { return };
        if call.client().is_none() {
            return; // the broker's own
        }
        let (waited, row) = (call.waited(), call.row());
        if let Some(row) = row.and_then(|row| self.method_stats.rows.get_mut(row)) {
            row.call_stats.queued = row.call_stats.queued + waited;
            return;
        }
        let uncounted = row.is_none();
        if uncounted {
            self.find_row(key, body);
        }
        if let Some(call_stats) = self.call_stats(key) {
            call_stats.requests += u64::from(uncounted);
            call_stats.queued = call_stats.queued + waited;
        }
    }

    #[cold]
    fn find_row(&mut self, key: Key, body: &P) {
        let row = self.resolve(body).ok().and_then(|called| called.row);
        if let Some(call) = self.calls.get_mut(key) {
            call.set_row(row);
        }
    }

    /// A worker has answered a call that it held.
    pub(super) fn count_answer(
        &mut self,
        now: Time,
        key: Key,
        worker: Key,
        code: Code,
        not_started: bool,
    ) {
        let Some(call) = self.calls.get(key) else { return };
        let (held, is_stream) = (call.passed(now), call.flow().kind().is_stream());
        if let Some(key_of_row) = call.row() {
            self.method_stats.answered(key_of_row, code, self.config.limits.methods);
            if let Some(row) = self.method_stats.rows.get_mut(key_of_row) {
                row.call_stats.running = row.call_stats.running + held;
                if !not_started && code != Code::Cancelled && !is_stream {
                    row.durations.add(held.as_ms());
                }
            } else if let Some(call_stats) = self.call_stats(key) {
                // The row is gone: the call counts for its service.
                call_stats.running = call_stats.running + held;
            }
        }
        let Some(worker) = self.services.worker_mut(worker) else { return };
        let call_stats = worker.call_stats_mut();
        call_stats.running = call_stats.running + held;
        if code != Code::Ok {
            call_stats.count_error(now, code);
        }
    }

    /// A worker has held a call till now: it has ended, or its slot is taken back.
    pub(super) fn count_duration(&mut self, now: Time, key: Key) {
        let call = self.calls.get(key).filter(|call| !call.flow().kind().is_stream());
        let Some(call) = call else { return };
        let (row, held) = (call.row(), call.passed(now));
        if let Some(row) = row.and_then(|row| self.method_stats.rows.get_mut(row)) {
            row.durations.add(held.as_ms());
        }
    }

    /// How long ago a call began to wait for the worker that holds it; `call` is its name in the REQUEST to that worker.
    /// `None`: no worker holds it.
    pub fn queued_since(&self, now: Time, call: u64) -> Option<Span> {
        let call = self.calls.get(Key::from_u64(call)?)?;
        call.is_running().then(|| call.waited() + call.passed(now))
    }

    /// The counters of a service, or of all: a line for each method, and one without method for the rest of its calls.
    pub fn method_lines(&self, service: Option<&[u8]>) -> Vec<MethodLine> {
        self.method_stats.lines(self.last, service)
    }
}

fn line(now: Time, row: &Row, method: Name) -> MethodLine {
    let service = Name::from(row.name.get(..row.service_len.into()).unwrap_or_default());
    let since_error = row.call_stats.last_error.map(|(_, at)| now - at);
    MethodLine { service, method, call_stats: row.call_stats, since_error }
}

/// Paths of one service differ in their ends, those of several in their lengths.
fn place_of(path: &[u8]) -> usize {
    let last = path.last_chunk::<4>().map_or(0, |last| u32::from_le_bytes(*last));
    let mixed = (last ^ path.len() as u32).wrapping_mul(0x9e37_79b1);
    (mixed >> 28) as usize % RECENT
}
