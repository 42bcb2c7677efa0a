//! The logger worker: stores what comes, and gives it to those who watch.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mdp_runtime::stream::{ReplySender, channel};
use mdp_runtime::{CallContext, Status, Stream};
use tokio::sync::{Semaphore, watch};

use crate::buffer::size;
use crate::filter::Filter;
use crate::pb::log_worker::Log;
use crate::pb::view_worker::View;
use crate::pb::{
    Level, QueryReply, QueryRequest, Record, WatchReply, WatchRequest, WriteReply, WriteRequest,
};
use crate::store::{Page, Store, StoreError};

/// The most bytes of a source's name.
pub const NAME_BYTES: usize = 128;
const ID_BYTES: usize = 64;
/// The most events of a batch, and their bytes.
const BATCH_EVENTS: usize = 1_000;
const BATCH_BYTES: usize = 2 * 1024 * 1024;
/// The most bytes of an event, so that it fits into a message to those who watch. The layer's have 48 KiB at the most.
const EVENT_BYTES: usize = 128 * 1024;
/// The most records of a page of the past, and how many it has if nobody says.
const PAGE: u32 = 1_000;
const PAGE_IF_UNSAID: u32 = 100;
/// The most records of a message to those who watch, the bytes after which it is full, and how many such messages may wait.
const BUNCH: usize = 100;
const BUNCH_BYTES: usize = 256 * 1024;
const BUNCHES: usize = 2;
/// How many streams read the file at once. A call that has ended does not stop its read, so this counts reads, not calls.
const READERS: usize = 4;
/// How often the file is looked at for what other workers have written into it.
const LOOK: Duration = Duration::from_millis(500);

/// Both services, on one store. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Logger {
    store: Arc<Store>,
    /// Changes wake those who watch.
    news: Arc<watch::Sender<News>>,
    readers: Arc<Semaphore>,
}

#[derive(Clone, Copy, Debug, Default)]
struct News {
    /// The number of batches that came here.
    batches: u64,
    /// Nobody may watch any more.
    closed: bool,
}

impl Logger {
    /// On this store.
    pub fn new(store: Store) -> Self {
        let readers = Arc::new(Semaphore::new(READERS));
        Logger { store: Arc::new(store), news: Arc::default(), readers }
    }

    /// Ends the streams of those who watch, who will ask another worker; else they would keep this one for its whole grace.
    pub fn close(&self) {
        self.news.send_modify(|news| news.closed = true);
    }
}

impl Log for Logger {
    fn write(&self, cx: &CallContext, req: WriteRequest) -> Result<WriteReply, Status> {
        let source = req.source.unwrap_or_default();
        let refuse = |what: String| Err(Status::invalid_argument(what));
        if source.id.is_empty() || source.id.len() > ID_BYTES || source.name.len() > NAME_BYTES {
            return refuse(format!(
                "a source has an id of 1 to {ID_BYTES} bytes and a name of up to {NAME_BYTES}"
            ));
        }
        if req.sequence == 0 || i64::try_from(req.sequence).is_err() {
            return refuse(format!("batches have the numbers 1, 2, 3, ..: not {}", req.sequence));
        }
        if req.events.len() > BATCH_EVENTS {
            return refuse(format!(
                "a batch has up to {BATCH_EVENTS} events, not {}",
                req.events.len()
            ));
        }
        let bytes: usize = req.events.iter().map(size).sum();
        if bytes > BATCH_BYTES {
            return refuse(format!("a batch has up to {BATCH_BYTES} bytes, not {bytes}"));
        }
        for (place, event) in req.events.iter().enumerate() {
            if matches!(Level::try_from(event.level), Err(_) | Ok(Level::Unspecified)) {
                return refuse(format!("event {place} of the batch has no level"));
            }
            if size(event) > EVENT_BYTES {
                return refuse(format!(
                    "event {place} of the batch has more than {EVENT_BYTES} bytes"
                ));
            }
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let stored =
            self.store.write(&source, cx.principal(), req.sequence, &req.events, now.as_secs());
        let stored = stored.map_err(failed)?;
        self.news.send_modify(|news| news.batches = news.batches.wrapping_add(1));
        Ok(WriteReply { stored: u32::try_from(stored).unwrap_or(u32::MAX) })
    }
}

impl View for Logger {
    async fn watch(
        &self,
        _: &CallContext,
        req: WatchRequest,
    ) -> Result<impl Stream<Item = Result<WatchReply, Status>>, Status> {
        let filter = filter(req.filter)?;
        let watching = Watching {
            // From now on: what is stored while the past is read wakes it too.
            news: self.news.subscribe(),
            store: Arc::clone(&self.store),
            readers: Arc::clone(&self.readers),
            filter,
        };
        if self.news.borrow().closed {
            return Err(Status::unavailable("the logger is about to end"));
        }
        let first = watching.begin(req.after, req.last.min(PAGE)).await?;
        let (replies, stream) = channel(BUNCHES);
        tokio::spawn(watching.tell(first, replies));
        Ok(stream)
    }

    fn query(&self, _: &CallContext, req: QueryRequest) -> Result<QueryReply, Status> {
        let filter = filter(req.filter)?;
        let before = if req.before == 0 { u64::MAX } else { req.before };
        let limit = if req.limit == 0 { PAGE_IF_UNSAID } else { req.limit.min(PAGE) };
        let page = self.store.before(before, &filter, limit as usize).map_err(failed)?;
        let next = if page.more { page.cursor } else { 0 };
        Ok(QueryReply { records: page.records, next })
    }
}

/// One caller who watches. What it gets is read from the store by its cursor, so nothing piles up here for a slow one, and
/// nothing is left out.
struct Watching {
    news: watch::Receiver<News>,
    store: Arc<Store>,
    readers: Arc<Semaphore>,
    filter: Filter,
}

impl Watching {
    /// What is there already.
    async fn begin(&self, after: Option<u64>, last: u32) -> Result<Page, Status> {
        self.read(move |store, filter| {
            let newest = store.newest()?;
            let past = match (after, last) {
                (None, 1..) => store.before(newest.saturating_add(1), filter, last as usize)?,
                _ => Page::default(),
            };
            // What is behind the cursor is told by the next page. A cursor beyond the end is that of another database.
            let cursor = after.map_or(newest, |after| after.min(newest));
            Ok(Page { cursor, more: true, ..past })
        })
        .await
    }

    /// Sends page after page until the caller goes away or the store fails.
    async fn tell(mut self, mut page: Page, replies: ReplySender<WatchReply>) {
        // The first message comes at once: it tells the cursor.
        let mut told = None;
        loop {
            for reply in messages(page.records, page.cursor, told != Some(page.cursor)) {
                if replies.send(reply).await.is_err() {
                    return; // nobody watches any more
                }
            }
            told = Some(page.cursor);
            if !page.more {
                tokio::select! {
                    () = replies.closed() => return,
                    // An error means that the worker ends, and then the call does.
                    _ = self.news.changed() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
            if self.news.borrow_and_update().closed {
                return;
            }
            let cursor = page.cursor;
            page = match self.read(move |store, filter| store.after(cursor, filter, BUNCH)).await {
                Ok(page) => page,
                Err(status) => {
                    // An error means that nobody wants to know.
                    let _ = replies.fail(status).await;
                    return;
                }
            };
        }
    }

    async fn read(
        &self,
        read: impl FnOnce(&Store, &Filter) -> Result<Page, StoreError> + Send + 'static,
    ) -> Result<Page, Status> {
        let (store, filter) = (Arc::clone(&self.store), self.filter.clone());
        let reader = Arc::clone(&self.readers).acquire_owned().await;
        let reader = reader.map_err(|_| Status::unavailable("the logger is about to end"))?;
        let page = tokio::task::spawn_blocking(move || {
            let _reader = reader;
            read(&store, &filter)
        });
        let page = page.await;
        page.map_err(|error| Status::internal(error.to_string()))?.map_err(failed)
    }
}

/// A page as messages of a bounded size. Without records it is one message, if the cursor is news.
fn messages(records: Vec<Record>, cursor: u64, is_news: bool) -> impl Iterator<Item = WatchReply> {
    let empty = records.is_empty() && is_news;
    let mut records = records.into_iter().peekable();
    let mut bunches = Vec::new();
    while records.peek().is_some() {
        let mut bytes = 0;
        let mut bunch: Vec<Record> = Vec::new();
        while let Some(record) = records.next_if(|_| bunch.len() < BUNCH && bytes < BUNCH_BYTES) {
            bytes += record.event.as_ref().map_or(0, size);
            bunch.push(record);
        }
        let last = bunch.last().map_or(cursor, |record| record.id);
        let cursor = if records.peek().is_none() { cursor } else { last };
        bunches.push(WatchReply { records: bunch, cursor });
    }
    bunches.into_iter().chain(empty.then(|| WatchReply { records: Vec::new(), cursor }))
}

fn filter(filter: Option<crate::pb::Filter>) -> Result<Filter, Status> {
    Filter::new(filter.unwrap_or_default()).map_err(Status::invalid_argument)
}

/// The disk may have room again, the file be free: who writes tries again.
fn failed(error: StoreError) -> Status {
    match error {
        StoreError::OutOfStep { .. } => Status::failed_precondition(error.to_string()),
        StoreError::NotYours => Status::permission_denied(error.to_string()),
        error => Status::unavailable(error.to_string()),
    }
}
