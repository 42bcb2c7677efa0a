//! Timers for the entries of a table: a hierarchical timing wheel, O(1) to set and to clear.
//!
//! Most calls end long before their deadline, so a heap with dead entries would hold ten seconds'
//! worth of finished calls; here a cleared timer leaves nothing behind.

use alloc::vec::Vec;

use crate::time::Time;

const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
/// 64^10 ms are 36 million years, so no timer lies beyond the wheel.
const LEVELS: usize = 10;
const END: u64 = (1 << (BITS * LEVELS as u32)) - 1;
const NONE: u32 = u32::MAX;

/// Timers by entry index, at most one an entry.
#[derive(Clone, Debug)]
pub(crate) struct Wheel {
    now: u64,
    levels: [Level; LEVELS],
    nodes: Vec<Node>,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    occupied: u64,
    heads: [u32; SLOTS],
}

#[derive(Clone, Copy, Debug)]
struct Node {
    /// When it is due, in 60 bits, and the level that the node is in, in four: [`NOWHERE`] when it is not set.
    due: u64,
    prev: u32,
    next: u32,
}

const NOWHERE: u32 = 15;
const UNSET: Node = Node { due: NOWHERE as u64, prev: NONE, next: NONE };

impl Node {
    fn at(&self) -> u64 {
        self.due >> 4
    }

    fn level(&self) -> u32 {
        self.due as u32 & 15
    }
}

/// The slot of a level in which this time lies.
fn slot_of(at: u64, level: u32) -> usize {
    (at >> (BITS * level)) as usize % SLOTS
}

impl Wheel {
    pub(crate) fn new() -> Self {
        let level = Level { occupied: 0, heads: [NONE; SLOTS] };
        Wheel { now: 0, levels: [level; LEVELS], nodes: Vec::new(), len: 0 }
    }

    /// How many timers are set.
    #[cfg_attr(not(any(test, debug_assertions)), allow(dead_code))]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Sets the timer of `index`, in place of one that it may have.
    pub(crate) fn set(&mut self, index: u32, at: Time) {
        self.clear(index);
        if self.nodes.len() <= index as usize {
            self.nodes.resize(index as usize + 1, UNSET);
        }
        self.len += 1;
        self.place(index, at.as_ms());
    }

    /// Clears the timer of `index`, if it has one.
    pub(crate) fn clear(&mut self, index: u32) {
        if self.nodes.get(index as usize).is_some_and(|node| node.level() != NOWHERE) {
            self.unlink(index);
            self.len -= 1;
        }
    }

    /// When the next timer may be due: never later than it is, and at most one slot too early.
    pub(crate) fn next(&self) -> Option<Time> {
        let mut best: Option<u64> = None;
        for (number, level) in self.levels.iter().enumerate() {
            let Some(start) = level.next_start(self.now, number as u32) else { continue };
            best = Some(best.map_or(start, |best| best.min(start)));
        }
        best.map(Time::from_ms)
    }

    /// Takes one timer that is due at `now`. To be called until it gives `None`.
    pub(crate) fn pop(&mut self, now: Time) -> Option<u32> {
        let now = now.as_ms().min(END);
        loop {
            let due = self.next()?.as_ms();
            if due > now {
                self.now = self.now.max(now);
                return None;
            }
            self.now = self.now.max(due);
            let index = self.take_first(due)?;
            let at = self.nodes.get(index as usize)?.at();
            if at <= now {
                self.len -= 1;
                return Some(index);
            }
            // A coarse slot has begun; its timers move to finer ones.
            self.place(index, at);
        }
    }

    fn take_first(&mut self, start: u64) -> Option<u32> {
        let mut found = None;
        for (number, level) in self.levels.iter().enumerate() {
            if level.next_start(self.now, number as u32) == Some(start) {
                found = level.first(self.now, number as u32);
                break;
            }
        }
        let index = found?;
        self.unlink(index);
        Some(index)
    }

    fn place(&mut self, index: u32, at: u64) {
        let at = at.max(self.now).min(END);
        let level = level_of(self.now, at);
        let slot = slot_of(at, level);
        let Some(row) = self.levels.get_mut(level as usize) else { return };
        let Some(head) = row.heads.get_mut(slot) else { return };
        let next = core::mem::replace(head, index);
        row.occupied |= 1 << slot;
        if let Some(node) = self.nodes.get_mut(next as usize) {
            node.prev = index;
        }
        if let Some(node) = self.nodes.get_mut(index as usize) {
            *node = Node { due: at << 4 | u64::from(level), prev: NONE, next };
        }
    }

    fn unlink(&mut self, index: u32) {
        let Some(node) = self.nodes.get_mut(index as usize) else { return };
        let Node { prev, next, .. } = *node;
        let (level, at) = (node.level(), node.at());
        node.due |= u64::from(NOWHERE);
        if let Some(node) = self.nodes.get_mut(next as usize) {
            node.prev = prev;
        }
        if let Some(node) = self.nodes.get_mut(prev as usize) {
            node.next = next;
            return;
        }
        let Some(row) = self.levels.get_mut(level as usize) else { return };
        let slot = slot_of(at, level);
        if let Some(head) = row.heads.get_mut(slot) {
            *head = next;
        }
        if next == NONE {
            row.occupied &= !(1 << slot);
        }
    }
}

/// The coarsest level whose digit differs between `now` and `at`.
fn level_of(now: u64, at: u64) -> u32 {
    let differing = 63 - ((now ^ at) | 1).leading_zeros();
    (differing / BITS).min(LEVELS as u32 - 1)
}

impl Level {
    /// The slot that comes next at or after `now`'s own, as slot and start.
    fn upcoming(&self, now: u64, number: u32) -> Option<(u32, u64)> {
        let shift = BITS * number;
        let here = (now >> shift) as u32 % SLOTS as u32;
        let ahead = self.occupied & (u64::MAX << here);
        if ahead == 0 {
            return None;
        }
        let slot = ahead.trailing_zeros();
        let turn = now >> (shift + BITS) << (shift + BITS);
        Some((slot, turn | u64::from(slot) << shift))
    }

    fn next_start(&self, now: u64, number: u32) -> Option<u64> {
        self.upcoming(now, number).map(|(_, start)| start.max(now))
    }

    fn first(&self, now: u64, number: u32) -> Option<u32> {
        let (slot, _) = self.upcoming(now, number)?;
        self.heads.get(slot as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::rng::Rng;
    use std::collections::BTreeMap;

    /// Against an ordered map, with random sets, clears and steps of time of all sizes.
    #[test]
    fn it_agrees_with_an_ordered_map() {
        for seed in 0..50 {
            let mut rng = Rng::new(seed);
            let mut wheel = Wheel::new();
            let mut model: BTreeMap<u32, u64> = BTreeMap::new();
            let mut now = rng.between(0, 1 << 40);
            while wheel.pop(Time::from_ms(now)).is_some() {}
            for _ in 0..2_000 {
                match rng.between(0, 3) {
                    0 | 1 => {
                        let index = rng.between(0, 63) as u32;
                        let at = now + (rng.next() >> rng.between(20, 63));
                        wheel.set(index, Time::from_ms(at));
                        model.insert(index, at);
                    }
                    2 => {
                        let index = rng.between(0, 63) as u32;
                        wheel.clear(index);
                        model.remove(&index);
                    }
                    _ => {
                        now += rng.next() >> rng.between(24, 63);
                        let mut due = Vec::new();
                        while let Some(index) = wheel.pop(Time::from_ms(now)) {
                            due.push(index);
                        }
                        due.sort_unstable();
                        let want: Vec<u32> =
                            model.iter().filter(|(_, at)| **at <= now).map(|(i, _)| *i).collect();
                        assert_eq!(due, want, "seed {seed} at {now}");
                        model.retain(|_, at| *at > now);
                    }
                }
                assert_eq!(wheel.len(), model.len(), "seed {seed}");
                let earliest = model.values().min().copied();
                match (wheel.next(), earliest) {
                    (Some(next), Some(earliest)) => {
                        assert!(next.as_ms() <= earliest.max(now), "seed {seed}")
                    }
                    (next, earliest) => assert_eq!(next.is_some(), earliest.is_some()),
                }
            }
        }
    }

    #[test]
    fn a_driver_that_sleeps_until_next_wakes_seldom() {
        let mut wheel = Wheel::new();
        wheel.set(0, Time::from_ms(10_007));
        let mut wakes = 0;
        loop {
            let now = wheel.next().unwrap();
            wakes += 1;
            if wheel.pop(now).is_some() {
                assert_eq!(now, Time::from_ms(10_007));
                break;
            }
        }
        assert!(wakes <= 4, "{wakes}");
    }
}
