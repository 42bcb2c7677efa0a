//! Metadata that cannot be read passes in neither direction (`wire.md` R103).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Broker;
use super::calls::End;
use super::io::Action;
use super::refusals::{bad_metadata, bad_reply_metadata};
use crate::payload::Payload;
use crate::slab::Key;
use crate::status::{Reason, Refusal};
use crate::time::Time;
use crate::wire::{Marks, MetadataError, Reply, check_metadata, read_marks};

impl<P: Payload> Broker<P> {
    /// The fields of a client's metadata for the broker, if it can be read.
    pub(super) fn marks_of_request(&mut self, body: &P) -> Result<Marks, Refusal> {
        read_marks(body.metadata()).map_err(|error| {
            self.stats.invalid += 1;
            bad_metadata(error)
        })
    }

    /// The end of a call, as its client may hear it: INTERNAL if its metadata cannot be read.
    pub(super) fn with_readable_metadata(&mut self, end: End<P>) -> End<P> {
        let Reply::Body(body) = &end.reply else { return end };
        let Err(error) = check_metadata(body.metadata()) else { return end };
        self.stats.invalid += 1;
        let mut refusal = bad_reply_metadata(error);
        if end.not_started {
            (refusal.not_started, refusal.reason) = (true, Reason::NotDispatched);
        }
        self.stats.reasons.count(refusal.reason);
        let (code, not_started) = (refusal.code, refusal.not_started);
        End { code, not_started, reply: Reply::Refused(Box::new(refusal)) }
    }

    /// A worker has opened its replies with metadata that cannot be read: the call ends, and its handler is stopped.
    pub(super) fn refuse_badly_opened(
        &mut self,
        now: Time,
        key: Key,
        error: MetadataError,
        out: &mut Vec<Action<P>>,
    ) {
        self.stats.invalid += 1;
        self.stats.refused += 1;
        self.send_refusal(now, key, |_| bad_reply_metadata(error), out);
        self.abandon(now, key, None, out);
    }
}
