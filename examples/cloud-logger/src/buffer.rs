//! What waits to be shipped: bounded in events and bytes, and it counts what it drops.

use std::collections::VecDeque;

use crate::pb::{Event, Level};

/// How much may wait, what is under way included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Events.
    pub events: usize,
    /// Bytes of their texts and what belongs to them, roughly.
    pub bytes: usize,
}

impl Default for Bounds {
    /// 10,000 events and 8 MiB.
    fn default() -> Self {
        Bounds { events: 10_000, bytes: 8 * 1024 * 1024 }
    }
}

/// Events in the order in which they came. When it is full the lowest level goes first, and of that the oldest: an error is
/// dropped only when nothing but errors waits. An event that is lower than all that waits is dropped itself.
///
/// ```
/// use example_cloud_logger::buffer::{Bounds, Buffer};
/// use example_cloud_logger::pb::{Event, Level};
///
/// let mut buffer = Buffer::new(Bounds { events: 1, bytes: 1000 });
/// buffer.push(Event { level: Level::Debug.into(), ..Event::default() });
/// buffer.push(Event { level: Level::Error.into(), ..Event::default() });
/// let batch = buffer.take(10, 1000, 0);
/// assert_eq!(batch[0].message, "1 event was dropped, as the buffer was full: DEBUG 1");
/// assert_eq!(batch[1].level(), Level::Error);
/// buffer.settle();
/// assert!(buffer.is_empty());
/// ```
#[derive(Debug)]
pub struct Buffer {
    bounds: Bounds,
    /// A queue for each level, the lowest first.
    queues: [VecDeque<Waiting>; LEVELS],
    /// The number of the next event.
    next: u64,
    /// What waits and what is under way.
    events: usize,
    bytes: usize,
    under_way: UnderWay,
    /// Dropped, and not told of in any batch, by level.
    dropped: [u64; LEVELS],
    /// Whether some of these were refused by the logger, and not for want of room.
    refused: bool,
    /// The lowest number of these.
    dropped_first: Option<u64>,
}

/// TRACE to ERROR.
const LEVELS: usize = 5;
const NAMES: [&str; LEVELS] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"];

#[derive(Debug)]
struct Waiting {
    number: u64,
    bytes: usize,
    event: Event,
}

/// What has been taken and is not settled.
#[derive(Debug, Default)]
struct UnderWay {
    events: usize,
    bytes: usize,
    /// The number of its first event.
    first: Option<u64>,
    /// The dropped ones that it tells of, by level, and the lowest number of these.
    dropped: [u64; LEVELS],
    dropped_first: Option<u64>,
}

/// A point in what was logged, to wait until all before it is settled.
#[derive(Clone, Copy, Debug)]
pub struct Mark(u64);

impl Buffer {
    /// An empty one.
    pub fn new(bounds: Bounds) -> Self {
        Buffer {
            bounds,
            queues: Default::default(),
            next: 0,
            events: 0,
            bytes: 0,
            under_way: UnderWay::default(),
            dropped: [0; LEVELS],
            refused: false,
            dropped_first: None,
        }
    }

    /// Adds an event, and makes room for it if it has to.
    pub fn push(&mut self, event: Event) {
        let (level, bytes) = (place(&event), size(&event));
        self.next += 1;
        if bytes > self.bounds.bytes {
            self.drop_one(level, self.next);
            return;
        }
        while self.events >= self.bounds.events || self.bytes + bytes > self.bounds.bytes {
            let lowest = self.queues.iter_mut().take(level + 1).enumerate();
            let oldest = lowest.filter_map(|(at, queue)| Some((at, queue.pop_front()?))).next();
            let Some((at, out)) = oldest else {
                self.drop_one(level, self.next);
                return;
            };
            self.events -= 1;
            self.bytes -= out.bytes;
            self.drop_one(at, out.number);
        }
        self.events += 1;
        self.bytes += bytes;
        if let Some(queue) = self.queues.get_mut(level) {
            queue.push_back(Waiting { number: self.next, bytes, event });
        }
    }

    /// Takes the oldest events out, up to these bounds and at least one, for a batch; before them one that tells what was
    /// dropped, with this time, in microseconds since 1970. They count as waiting until they are [settled](Self::settle).
    pub fn take(&mut self, events: usize, bytes: usize, now: u64) -> Vec<Event> {
        let mut batch = Vec::new();
        if let Some(told) = self.tell_dropped(now) {
            batch.push(told);
        }
        while let Some(front) = self.oldest_waiting() {
            let way = &mut self.under_way;
            let full = way.events >= events || way.bytes + front.1 > bytes;
            if full && way.events > 0 {
                break;
            }
            let Some(out) = self.queues.get_mut(front.0).and_then(VecDeque::pop_front) else {
                break;
            };
            way.events += 1;
            way.bytes += out.bytes;
            way.first.get_or_insert(out.number);
            batch.push(out.event);
        }
        batch
    }

    /// What was taken is stored, and counts no more.
    pub fn settle(&mut self) {
        let way = std::mem::take(&mut self.under_way);
        self.events -= way.events;
        self.bytes -= way.bytes;
    }

    /// What was taken will never be stored: these events are dropped too, and what was to be told waits again.
    pub fn refuse(&mut self, batch: &[Event]) {
        let first = self.under_way.first.unwrap_or(self.next);
        for event in batch.iter().filter(|event| event.dropped == 0) {
            self.drop_one(place(event), first);
        }
        for (count, again) in self.dropped.iter_mut().zip(self.under_way.dropped) {
            *count += again;
        }
        let firsts = [self.dropped_first, self.under_way.dropped_first];
        self.dropped_first = firsts.into_iter().flatten().min();
        self.refused = true;
        self.settle();
    }

    /// Where what was logged ends now.
    pub fn mark(&self) -> Mark {
        Mark(self.next)
    }

    /// Whether all before a mark is settled, and what was dropped is told.
    pub fn is_settled(&self, mark: Mark) -> bool {
        let waiting = self.queues.iter().filter_map(|queue| Some(queue.front()?.number));
        let way = &self.under_way;
        let firsts = [way.first, way.dropped_first, self.dropped_first];
        waiting.chain(firsts.into_iter().flatten()).all(|number| number > mark.0)
    }

    /// Whether nothing waits, is under way or has to be told.
    pub fn is_empty(&self) -> bool {
        self.events == 0 && self.untold() == 0
    }

    /// Whether there is something to take.
    pub fn has_waiting(&self) -> bool {
        self.waiting() > 0 || self.dropped.iter().any(|count| *count > 0)
    }

    /// Events that wait and are not under way.
    pub fn waiting(&self) -> usize {
        self.events - self.under_way.events
    }

    /// Events that wait or are under way.
    pub fn events(&self) -> usize {
        self.events
    }

    /// The bytes of these.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many were dropped and nobody has been told of yet.
    pub fn untold(&self) -> u64 {
        self.dropped.iter().chain(&self.under_way.dropped).sum()
    }

    /// The queue of the oldest event, and how many bytes it has.
    fn oldest_waiting(&self) -> Option<(usize, usize)> {
        let fronts = self.queues.iter().enumerate();
        let fronts = fronts.filter_map(|(at, queue)| queue.front().map(|front| (at, front)));
        let (at, front) = fronts.min_by_key(|(_, front)| front.number)?;
        Some((at, front.bytes))
    }

    fn drop_one(&mut self, level: usize, number: u64) {
        self.dropped_first = Some(self.dropped_first.map_or(number, |first| first.min(number)));
        if let Some(count) = self.dropped.get_mut(level) {
            *count += 1;
        }
    }

    fn tell_dropped(&mut self, now: u64) -> Option<Event> {
        let counts = std::mem::take(&mut self.dropped);
        let dropped = counts.iter().sum();
        if dropped == 0 {
            return None;
        }
        self.under_way.dropped = counts;
        self.under_way.dropped_first = self.dropped_first.take();
        let refused = std::mem::take(&mut self.refused);
        let why = if refused {
            "the buffer was full, or the logger refused them"
        } else {
            "the buffer was full"
        };
        let by_level = counts.iter().zip(NAMES).rev().filter(|(count, _)| **count > 0);
        let by_level: Vec<_> = by_level.map(|(count, name)| format!("{name} {count}")).collect();
        let what =
            if dropped == 1 { "1 event was".into() } else { format!("{dropped} events were") };
        Some(Event {
            time: now,
            level: Level::Warn.into(),
            target: "cloud_logger".into(),
            message: format!("{what} dropped, as {why}: {}", by_level.join(", ")),
            dropped,
            ..Event::default()
        })
    }
}

/// The queue of an event.
fn place(event: &Event) -> usize {
    usize::try_from(event.level).unwrap_or(0).saturating_sub(1).min(LEVELS - 1)
}

/// What an event takes in memory, roughly: its texts, and for each part what holds it.
pub(crate) fn size(event: &Event) -> usize {
    const PART: usize = 48;
    let fields = |fields: &[crate::pb::Field]| -> usize {
        fields.iter().map(|field| PART + field.name.len() + field.value.len()).sum()
    };
    let spans = event.spans.iter().map(|span| PART + span.name.len() + fields(&span.fields));
    let own = 4 * PART + event.target.len() + event.message.len();
    own + fields(&event.fields) + spans.sum::<usize>()
}

#[cfg(test)]
#[path = "buffer_tests.rs"]
mod tests;
