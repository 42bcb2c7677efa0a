//! What a connection has to write: small things gathered in one buffer, large payloads as they are.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

/// From this size on a payload is not copied but handed over as a chunk of its own. Below it, a copy costs less than one
/// more piece for the kernel to gather.
pub const SHARE_FROM: usize = 1024;

/// An empty output keeps a buffer of up to this size, so that a busy connection allocates once.
const KEEP: usize = 64 << 10;

/// A queue of bytes to write, in order. The driver writes [`chunks`](Output::chunks) with one `writev` and calls
/// [`advance`](Output::advance) with the number of bytes that were written.
///
/// An output belongs to a connection, or serves several in turn: what a socket did not take is moved away with
/// [`append`](Output::append). A new output has no buffer. [`release`](Output::release) frees the buffers of an idle one.
///
/// ```
/// use mdp_zmtp::Output;
///
/// let mut out = Output::new();
/// assert!(out.is_empty() && out.chunks().next().is_none());
/// out.advance(0);
/// ```
#[derive(Default)]
pub struct Output {
    /// The bytes of all segments of the kind `Gathered`, in order.
    gathered: Vec<u8>,
    /// How many of `gathered` are written already.
    written: usize,
    segments: VecDeque<Segment>,
    bytes: usize,
}

enum Segment {
    /// So many bytes of `gathered`.
    Gathered(usize),
    Shared(Bytes),
}

impl Output {
    /// An empty output without buffers.
    pub const fn new() -> Self {
        Output { gathered: Vec::new(), written: 0, segments: VecDeque::new(), bytes: 0 }
    }

    /// Bytes that are not written yet.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Whether all is written.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The pieces to write, in order. None of them is empty.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.gathered.get(self.written..).unwrap_or_default();
        self.segments.iter().map(move |segment| match segment {
            Segment::Gathered(len) => {
                let (chunk, behind) = rest.split_at_checked(*len).unwrap_or((rest, &[]));
                rest = behind;
                chunk
            }
            Segment::Shared(chunk) => chunk,
        })
    }

    /// Removes the first `count` bytes: they are written. A larger count than [`len`](Output::len) removes all.
    pub fn advance(&mut self, mut count: usize) {
        if count >= self.bytes {
            return self.clear();
        }
        self.bytes -= count;
        while let Some(segment) = self.segments.front_mut().filter(|_| count > 0) {
            let len = segment.len();
            let taken = len.min(count);
            count -= taken;
            match segment {
                Segment::Gathered(left) => {
                    *left -= taken;
                    self.written += taken;
                }
                Segment::Shared(chunk) => bytes::Buf::advance(chunk, taken),
            }
            if taken == len {
                self.segments.pop_front();
            }
        }
        self.forget_written();
    }

    /// Moves all bytes of `other` behind those of this output.
    pub fn append(&mut self, other: &mut Output) {
        if self.is_empty() {
            return core::mem::swap(self, other);
        }
        let mut rest = other.gathered.get(other.written..).unwrap_or_default();
        for segment in other.segments.drain(..) {
            match segment {
                Segment::Gathered(len) => {
                    let (chunk, behind) = rest.split_at_checked(len).unwrap_or((rest, &[]));
                    rest = behind;
                    self.write(|gathered| gathered.extend_from_slice(chunk));
                }
                Segment::Shared(chunk) => self.share(chunk),
            }
        }
        other.clear();
    }

    /// Frees the buffers if nothing is left to write.
    pub fn release(&mut self) {
        if self.is_empty() {
            *self = Output::new();
        }
    }

    /// Appends what `put` writes to the gathered bytes. `put` must not remove any.
    #[inline]
    pub(crate) fn write<R>(&mut self, put: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let before = self.gathered.len();
        let result = put(&mut self.gathered);
        let added = self.gathered.len().saturating_sub(before);
        if added > 0 {
            self.bytes += added;
            match self.segments.back_mut() {
                Some(Segment::Gathered(len)) => *len += added,
                _ => self.segments.push_back(Segment::Gathered(added)),
            }
        }
        result
    }

    /// Appends a chunk of its own.
    #[inline]
    pub(crate) fn share(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.bytes += chunk.len();
            self.segments.push_back(Segment::Shared(chunk));
        }
    }

    fn clear(&mut self) {
        self.segments.clear();
        self.gathered.clear();
        (self.written, self.bytes) = (0, 0);
        if self.gathered.capacity() > KEEP {
            self.gathered = Vec::new();
        }
    }

    /// Gives the room of written bytes back, when there are many and they are the larger part.
    fn forget_written(&mut self) {
        if self.written > KEEP && self.written > self.gathered.len() / 2 {
            self.gathered.drain(..self.written);
            self.written = 0;
        }
    }
}

impl Segment {
    fn len(&self) -> usize {
        match self {
            Segment::Gathered(len) => *len,
            Segment::Shared(chunk) => chunk.len(),
        }
    }
}

/// Shows the number of bytes, and none of them: they may be a secret.
impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled() -> Output {
        let mut out = Output::new();
        out.write(|gathered| gathered.extend_from_slice(b"abc"));
        out.share(Bytes::from_static(b"DEFG"));
        out.write(|gathered| gathered.extend_from_slice(b"h"));
        out.write(|gathered| gathered.extend_from_slice(b"ij"));
        out.share(Bytes::new());
        out
    }

    fn left(out: &Output) -> Vec<u8> {
        assert!(out.chunks().all(|chunk| !chunk.is_empty()));
        let left: Vec<u8> = out.chunks().flatten().copied().collect();
        assert_eq!(left.len(), out.len());
        left
    }

    #[test]
    fn any_parts_of_it_can_be_written() {
        for first in 0..=11 {
            for second in 0..=11 {
                let mut out = filled();
                out.advance(first);
                out.advance(second);
                let gone = (first + second).min(10);
                assert_eq!(left(&out), b"abcDEFGhij".get(gone..).unwrap());
                out.write(|gathered| gathered.push(b'!'));
                assert_eq!(left(&out).last(), Some(&b'!'));
            }
        }
    }

    #[test]
    fn one_output_goes_behind_another() {
        for written in 0..=10 {
            for before in [0, 3, 10] {
                let (mut out, mut other) = (filled(), filled());
                out.advance(before);
                other.advance(written);
                let mut all = left(&out);
                all.extend(left(&other));
                out.append(&mut other);
                assert_eq!(left(&out), all);
                assert!(other.is_empty());
            }
        }
    }

    #[test]
    fn a_large_buffer_is_not_kept() {
        let mut out = Output::new();
        out.write(|gathered| gathered.resize(4 * KEEP, 0));
        out.advance(3 * KEEP);
        assert_eq!((out.len(), out.written), (KEEP, 0));
        out.advance(KEEP);
        assert_eq!(out.gathered.capacity(), 0);
        out.write(|gathered| gathered.push(0));
        out.release();
        assert_eq!(out.len(), 1);
        out.advance(1);
        out.release();
        assert_eq!((out.gathered.capacity(), out.segments.capacity()), (0, 0));
    }
}
