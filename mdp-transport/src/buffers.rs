//! Buffers of large frames and payloads. A fresh buffer of a megabyte costs more than all other work for the frame: the
//! system clears each of its pages at the first use. So buffers are used again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

/// The most bytes that are kept for all sockets of the process.
const MAX_KEPT: usize = 16 << 20;
/// Buffers are kept for so long after the last large frame.
const KEEP_FOR: Duration = Duration::from_secs(2);
/// Smaller buffers come from the allocator: their pages are there.
const LEAST: usize = 64 << 10;
/// A frame does not get a buffer with more than this many times its bytes.
const MOST_TIMES: usize = 4;

static KEPT: Mutex<Kept> = Mutex::new(Kept { free: Vec::new(), bytes: 0, used: None });
/// Nothing is kept.
static IS_EMPTY: AtomicBool = AtomicBool::new(true);

struct Kept {
    free: Vec<Vec<u8>>,
    /// The capacity of all of them.
    bytes: usize,
    used: Option<Instant>,
}

/// A buffer that is kept when it is dropped.
struct Buffer(Vec<u8>);

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        kept().give(std::mem::take(&mut self.0));
    }
}

/// Returns an empty buffer with room for this many bytes.
pub fn take(bytes: usize) -> Vec<u8> {
    let mut buffer = take_used(bytes);
    buffer.clear();
    buffer
}

/// Returns a buffer with room for this many bytes, and with what it was used for before: at most as many bytes.
pub(crate) fn take_used(bytes: usize) -> Vec<u8> {
    let kept = if bytes < LEAST { None } else { take_kept(bytes) };
    let mut buffer = kept.unwrap_or_else(|| Vec::with_capacity(bytes));
    buffer.truncate(bytes);
    buffer
}

fn take_kept(bytes: usize) -> Option<Vec<u8>> {
    let mut kept = kept();
    // Where no socket looks for input, the next large message does it.
    kept.rest(Instant::now());
    kept.take(bytes)
}

/// The content of a buffer. The buffer is used again when the last handle on it is dropped.
pub fn into_bytes(buffer: Vec<u8>) -> Bytes {
    if buffer.capacity() < LEAST { Bytes::from(buffer) } else { Bytes::from_owner(Buffer(buffer)) }
}

/// Frees the buffers if none was used for a while. Each socket that looks for input calls this.
pub(crate) fn rest() {
    if IS_EMPTY.load(Ordering::Relaxed) {
        return;
    }
    kept().rest(Instant::now());
}

fn kept() -> MutexGuard<'static, Kept> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kept {
    fn take(&mut self, bytes: usize) -> Option<Vec<u8>> {
        let fits = |buffer: &Vec<u8>| {
            (bytes..=bytes.saturating_mul(MOST_TIMES)).contains(&buffer.capacity())
        };
        let found = self.free.iter().position(fits)?;
        let buffer = self.free.swap_remove(found);
        self.bytes = self.bytes.saturating_sub(buffer.capacity());
        Some(buffer)
    }

    fn give(&mut self, buffer: Vec<u8>) {
        self.used = Some(Instant::now());
        let bytes = self.bytes.saturating_add(buffer.capacity());
        if bytes <= MAX_KEPT {
            self.bytes = bytes;
            self.free.push(buffer);
            IS_EMPTY.store(false, Ordering::Relaxed);
        }
    }

    fn rest(&mut self, now: Instant) {
        if self.used.is_some_and(|used| now.duration_since(used) < KEEP_FOR) {
            return;
        }
        (self.free, self.bytes) = (Vec::new(), 0);
        IS_EMPTY.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_and_what_is_kept_is_bounded() {
        let mut kept = Kept { free: Vec::new(), bytes: 0, used: None };
        assert_eq!(kept.take(1), None);
        kept.give(vec![7; 1 << 20]);
        assert_eq!(kept.take((1 << 20) + 1), None);
        assert_eq!(kept.take(1 << 10), None, "far too large");
        let buffer = kept.take(1 << 19).unwrap();
        assert_eq!((buffer.len(), buffer.capacity(), kept.bytes), (1 << 20, 1 << 20, 0));
        (0..100).for_each(|_| kept.give(Vec::with_capacity(1 << 20)));
        assert_eq!((kept.free.len(), kept.bytes), (16, MAX_KEPT));
        let used = kept.used.unwrap();
        kept.rest(used + KEEP_FOR / 2);
        assert_eq!(kept.free.len(), 16);
        kept.rest(used + KEEP_FOR);
        assert_eq!((kept.free.len(), kept.bytes), (0, 0));
    }

    #[test]
    fn bytes_give_their_buffer_back() {
        let mut buffer = take(100_003);
        buffer.extend_from_slice(&[1; 100_003]);
        let bytes = into_bytes(buffer);
        let half = bytes.slice(50_000..);
        drop(bytes);
        assert_eq!(half.len(), 50_003);
    }
}
