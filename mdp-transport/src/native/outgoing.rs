//! Bytes that wait to be written to a connection, in order, and what is dropped when they are written.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Write};

use mdp_zmtp::Output;

/// Slices that one call writes. More do not make it faster.
const SLICES: usize = 32;

/// The queue of a connection. An idle one needs no memory of its own.
#[derive(Default)]
pub(super) struct Outgoing {
    output: Output,
    /// Bytes that were written since the start.
    done: u64,
    /// Values that are dropped when this many bytes are written.
    guards: VecDeque<(u64, Box<dyn Send>)>,
}

impl Outgoing {
    pub(super) fn is_empty(&self) -> bool {
        self.output.is_empty()
    }

    /// The bytes that wait.
    pub(super) fn waiting(&self) -> usize {
        self.output.len()
    }

    /// Where to put bytes.
    pub(super) fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    /// Drops this value when all bytes until here are written, or with the queue.
    pub(super) fn guard(&mut self, value: Box<dyn Send>) {
        if !self.is_empty() {
            self.guards.push_back((self.done + self.output.len() as u64, value));
        }
    }

    /// Writes as much as `to` takes. `true`: nothing waits any more.
    pub(super) fn write(&mut self, to: &mut impl Write) -> io::Result<bool> {
        while !self.output.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut count = 0;
            for (slice, chunk) in slices.iter_mut().zip(self.output.chunks()) {
                *slice = IoSlice::new(chunk);
                count += 1;
            }
            match to.write_vectored(slices.get(..count).unwrap_or_default()) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.wrote(written),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn wrote(&mut self, bytes: usize) {
        self.output.advance(bytes);
        self.done += bytes as u64;
        while self.guards.front().is_some_and(|(until, _)| *until <= self.done) {
            self.guards.pop_front();
        }
    }

    /// Gives back the memory of an empty queue.
    pub(super) fn release(&mut self) {
        if self.is_empty() {
            self.output.release();
            self.guards = VecDeque::new();
        }
    }
}
