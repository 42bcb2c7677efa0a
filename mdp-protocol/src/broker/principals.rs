//! The usage of quotas, for each principal over all its sessions.

use alloc::sync::Arc;
use alloc::vec::Vec;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::io::Name;
use super::mmi::Lists;
use crate::policy::{Grant, Quota};
use crate::slab::{Key, Slab};
use crate::time::{Span, Time};

/// The usage of a principal, over all its sessions.
#[derive(Debug)]
struct Usage {
    name: Name,
    calls: usize,
    bytes: usize,
    /// Thousandths of calls that may be made at once, when that was counted.
    tokens: u64,
    counted: Time,
    lists: Lists,
}

/// The principals that have a session or a call, and what each uses.
#[derive(Debug)]
pub(super) struct Principals {
    table: Slab<Usage>,
    by_name: HashMap<Name, Key, FixedState>,
}

/// Which quota is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Calls,
    Rate { retry_after: Span },
    Bytes,
}

impl Over {
    pub(super) fn name(self) -> &'static str {
        match self {
            Over::Calls => "calls_in_flight",
            Over::Rate { .. } => "calls_per_second",
            Over::Bytes => "queued_bytes",
        }
    }
}

impl Principals {
    pub(super) fn new(hash: impl Fn() -> FixedState) -> Self {
        Principals { table: Slab::new(), by_name: HashMap::with_hasher(hash()) }
    }

    /// Whether a principal may make a call of this size now. If so it counts for the calls of a second.
    ///
    /// # Errors
    ///
    /// A quota is used up.
    #[inline]
    pub(super) fn check(
        &mut self,
        principal: Option<Key>,
        now: Time,
        quota: &Quota,
        size: usize,
    ) -> Result<(), Over> {
        match principal.and_then(|key| self.table.get_mut(key)) {
            Some(usage) => usage.check(now, quota, size),
            None => Ok(()),
        }
    }

    /// A call that was counted as one of those of a second is not made now.
    pub(super) fn give_token_back(&mut self, principal: Key) {
        if let Some(usage) = self.table.get_mut(principal) {
            // The next count limits the sum.
            usage.tokens = usage.tokens.saturating_add(1_000);
        }
    }

    /// Counts a question as one of the calls of a second. Whether it may be asked.
    pub(super) fn count_question(&mut self, principal: Key, now: Time, quota: &Quota) -> bool {
        let usage = self.table.get_mut(principal);
        usage.is_none_or(|usage| usage.take_token(now, quota).is_ok())
    }

    /// The lists that a principal was given of late.
    pub(super) fn lists_mut(&mut self, principal: Key) -> Option<&mut Lists> {
        Some(&mut self.table.get_mut(principal)?.lists)
    }

    /// The usage of a grant's principal.
    pub(super) fn of_grant(&mut self, now: Time, grant: &Arc<Grant>) -> Key {
        if let Some(key) = self.by_name.get(&grant.name) {
            return *key;
        }
        let tokens = grant.quota.calls_per_second.map_or(0, |rate| u64::from(rate) * 1_000);
        let name = Arc::clone(&grant.name);
        let lists = Lists::default();
        let usage = Usage { name, calls: 0, bytes: 0, tokens, counted: now, lists };
        let key = self.table.insert(usage);
        self.by_name.insert(Arc::clone(&grant.name), key);
        key
    }

    /// A call counts for a principal from now on. Gives the place of what that uses.
    #[inline]
    pub(super) fn count_call(&mut self, principal: Key) -> Option<u32> {
        self.table.get_mut(principal)?.calls += 1;
        Some(principal.index())
    }

    /// A call counts no longer.
    #[inline]
    pub(super) fn uncount_call(&mut self, usage: u32) {
        if let Some(usage) = self.table.at_mut(usage) {
            usage.calls = usage.calls.saturating_sub(1);
        }
    }

    /// The broker holds more bytes of a principal's calls.
    #[inline]
    pub(super) fn count_bytes(&mut self, usage: u32, bytes: usize) {
        if let Some(usage) = self.table.at_mut(usage) {
            usage.bytes += bytes;
        }
    }

    /// It holds less.
    #[inline]
    pub(super) fn uncount_bytes(&mut self, usage: u32, bytes: usize) {
        if let Some(usage) = self.table.at_mut(usage) {
            usage.bytes = usage.bytes.saturating_sub(bytes);
        }
    }

    /// Drops the principals without usage. `used`: whether a session has this principal.
    pub(super) fn forget_idle(&mut self, used: impl Fn(Key) -> bool) {
        let idle = self.table.iter().filter(|(_, usage)| usage.calls == 0 && usage.bytes == 0);
        let idle: Vec<(Key, Name)> = idle
            .filter(|(key, _)| !used(*key))
            .map(|(key, usage)| (key, usage.name.clone()))
            .collect();
        for (key, name) in idle {
            self.table.remove(key);
            self.by_name.remove(&name);
        }
    }

    /// Calls and bytes that are counted for principals, for the audit.
    pub(super) fn counted(&self) -> (usize, usize) {
        let usages = self.table.iter();
        usages.fold((0, 0), |(calls, bytes), (_, usage)| (calls + usage.calls, bytes + usage.bytes))
    }
}

impl Usage {
    fn check(&mut self, now: Time, quota: &Quota, size: usize) -> Result<(), Over> {
        if quota.calls_in_flight.is_some_and(|max| self.calls >= max) {
            return Err(Over::Calls);
        }
        if quota.queued_bytes.is_some_and(|max| self.bytes + size > max) {
            return Err(Over::Bytes);
        }
        self.take_token(now, quota)
    }

    /// Takes one of the calls that may be made in a second.
    fn take_token(&mut self, now: Time, quota: &Quota) -> Result<(), Over> {
        let Some(rate) = quota.calls_per_second else { return Ok(()) };
        let rate = u64::from(rate);
        let passed = (now - self.counted).as_ms();
        self.tokens = self.tokens.saturating_add(passed.saturating_mul(rate)).min(rate * 1_000);
        self.counted = now;
        match self.tokens.checked_sub(1_000) {
            Some(left) => {
                self.tokens = left;
                Ok(())
            }
            None => {
                let missing = 1_000 - self.tokens;
                let retry_after = Span::from_ms(missing.div_ceil(rate.max(1)));
                Err(Over::Rate { retry_after })
            }
        }
    }
}
