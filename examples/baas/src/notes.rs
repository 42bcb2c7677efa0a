//! The Notes worker: a business service. It knows nothing of tokens; the broker tells it who calls.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mdp_runtime::{CallContext, Status};

use crate::caller::caller;
use crate::pb::notes_worker::Notes;
use crate::pb::{AddReply, AddRequest, ListReply, ListRequest, PurgeReply, PurgeRequest};

/// The most notes of a user.
const MAX_NOTES: usize = 100;
/// The longest note, in bytes.
const LONGEST_NOTE: usize = 1000;

/// The notes, in memory: they are gone when the worker ends, and a second worker would have others.
#[derive(Debug, Default)]
pub struct Notebook {
    notes: Mutex<BTreeMap<String, Vec<String>>>,
}

impl Notebook {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    fn notes(&self) -> MutexGuard<'_, BTreeMap<String, Vec<String>>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes for Notebook {
    async fn add(&self, cx: &CallContext, req: AddRequest) -> Result<AddReply, Status> {
        let user = &caller(cx)?.name;
        if req.text.is_empty() || req.text.len() > LONGEST_NOTE {
            let message = format!("a note has 1 to {LONGEST_NOTE} bytes");
            return Err(Status::invalid_argument(message));
        }
        let mut notes = self.notes();
        let own = notes.entry(user.to_owned()).or_default();
        if own.len() >= MAX_NOTES {
            let message = format!("{user} has {MAX_NOTES} notes, and no room for more");
            return Err(Status::resource_exhausted(message));
        }
        own.push(req.text);
        Ok(AddReply { count: u32::try_from(own.len()).unwrap_or(u32::MAX) })
    }

    async fn list(&self, cx: &CallContext, _: ListRequest) -> Result<ListReply, Status> {
        let user = &caller(cx)?.name;
        let notes = self.notes().get(user).cloned().unwrap_or_default();
        Ok(ListReply { user: user.to_owned(), notes })
    }

    async fn purge(&self, _: &CallContext, req: PurgeRequest) -> Result<PurgeReply, Status> {
        let deleted = self.notes().remove(&req.user).unwrap_or_default();
        Ok(PurgeReply { deleted: u32::try_from(deleted.len()).unwrap_or(u32::MAX) })
    }
}
