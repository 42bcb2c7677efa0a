//! The frames of a classic message as one payload, in a record with [`RAW`](super::Flags::RAW).
//!
//! Each frame is its length in four bytes, in network order, followed by its bytes.

use alloc::vec::Vec;
use core::ops::Range;

/// Why a payload is not a valid list of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramesError {
    /// A frame reaches past the end of the payload.
    #[error("frame {frame} at byte {at} of the raw payload ends past the payload")]
    Truncated {
        /// The frame's number, counted from 0.
        frame: usize,
        /// The position of the frame's length.
        at: usize,
    },
    /// The list has more frames than are allowed.
    #[error("the raw payload holds more than {0} frames")]
    TooMany(usize),
}

/// Appends a frame to a raw payload.
///
/// ```
/// use mdp_protocol::wire::{put_frame, split_frames};
/// let mut payload = Vec::new();
/// put_frame(&mut payload, b"one");
/// put_frame(&mut payload, b"");
/// assert_eq!(payload, b"\0\0\0\x03one\0\0\0\0");
/// let mut ranges = Vec::new();
/// split_frames(&payload, 32, |range| ranges.push(range)).unwrap();
/// assert_eq!(ranges, [4..7, 11..11]);
/// ```
pub fn put_frame(payload: &mut Vec<u8>, frame: &[u8]) {
    // Frames are bounded by `Limits::frame_bytes`, far below 4 GiB.
    let len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    payload.extend_from_slice(&len.to_be_bytes());
    payload.extend_from_slice(frame.get(..len as usize).unwrap_or(frame));
}

/// Calls the function with the range of each frame of a raw payload, in order.
///
/// # Errors
///
/// The payload is not a valid list of frames, or has more than `max` frames.
pub fn split_frames(
    payload: &[u8],
    max: usize,
    mut frame: impl FnMut(Range<usize>),
) -> Result<(), FramesError> {
    let mut at = 0;
    let mut number = 0;
    while at < payload.len() {
        if number == max {
            return Err(FramesError::TooMany(max));
        }
        let range = frame_at(payload, at).ok_or(FramesError::Truncated { frame: number, at })?;
        at = range.end;
        number += 1;
        frame(range);
    }
    Ok(())
}

fn frame_at(payload: &[u8], at: usize) -> Option<Range<usize>> {
    let len = u32::from_be_bytes(*payload.get(at..)?.first_chunk()?) as usize;
    let start = at + 4;
    let end = start.checked_add(len)?;
    (end <= payload.len()).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_payload_says_which_frame_is_cut() {
        let payload = b"\0\0\0\x01a\0\0\0\x02bc";
        assert_eq!(split_frames(payload, 2, |_| {}), Ok(()));
        assert_eq!(split_frames(payload, 1, |_| {}), Err(FramesError::TooMany(1)));
        for len in [1, 4, 6, 10] {
            let at = if len < 5 { 0 } else { 5 };
            let cut = FramesError::Truncated { frame: at / 5, at };
            assert_eq!(split_frames(&payload[..len], 2, |_| {}), Err(cut), "{len}");
        }
    }
}
