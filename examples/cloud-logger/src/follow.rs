//! The viewers' side: what is stored, as it comes, over all restarts of broker and logger.

use std::time::Duration;

use mdp_runtime::{Client, Code, Status, Streaming};

use crate::pb::view_client::ViewClient;
use crate::pb::{Filter, Record, WatchReply, WatchRequest};

/// The pause after a stream that broke.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a worker has to begin a stream, before it is asked for again.
const BEGIN: Duration = Duration::from_secs(5);

/// Follows the log. It remembers how far it has come, so after a restart it goes on behind the last record: none is left out,
/// and none is told twice.
///
/// ```no_run
/// use example_cloud_logger::follow::{Follow, Seen};
/// use example_cloud_logger::pb::Filter;
///
/// # async fn doc(client: mdp_runtime::Client) -> Result<(), mdp_runtime::Status> {
/// let mut follow = Follow::new(&client, Filter::default(), 20);
/// loop {
///     match follow.next().await? {
///         Seen::Records(records) => println!("{} more", records.len()),
///         Seen::Lost(status) => println!("{status}"),
///         Seen::Back => println!("it is there"),
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Follow {
    view: ViewClient,
    filter: Filter,
    /// How many of the past to begin with.
    last: u32,
    cursor: Option<u64>,
    stream: Option<Streaming<WatchReply>>,
    is_lost: bool,
}

/// What there is to tell.
#[derive(Clone, Debug)]
pub enum Seen {
    /// Records, the oldest first.
    Records(Vec<Record>),
    /// Broker or logger are away; it goes on by itself.
    Lost(Status),
    /// They are there, for the first time or again.
    Back,
}

impl Follow {
    /// What this filter lets through, beginning with the `last` records that are there.
    pub fn new(client: &Client, filter: Filter, last: u32) -> Self {
        let view = ViewClient::new(client.clone());
        Follow { view, filter, last, cursor: None, stream: None, is_lost: false }
    }

    /// Behind a record that somebody has seen, in place of the last ones.
    pub fn after(mut self, cursor: u64) -> Self {
        self.cursor = Some(cursor);
        self
    }

    /// How far it has come: the cursor to go on with.
    pub fn cursor(&self) -> Option<u64> {
        self.cursor
    }

    /// The next thing to tell, when there is one.
    ///
    /// # Errors
    ///
    /// The logger says that what is asked for makes no sense, or that this client may not ask.
    pub async fn next(&mut self) -> Result<Seen, Status> {
        loop {
            let Some(stream) = &mut self.stream else {
                match self.begin().await {
                    Ok(seen) => return Ok(seen),
                    Err(status) => match self.lost(status)? {
                        Some(seen) => return Ok(seen),
                        None => tokio::time::sleep(PAUSE).await,
                    },
                }
                continue;
            };
            match stream.message().await {
                Ok(Some(reply)) => {
                    self.cursor = Some(reply.cursor);
                    if !reply.records.is_empty() {
                        return Ok(Seen::Records(reply.records));
                    }
                }
                ended => {
                    self.stream = None;
                    let status =
                        ended.err().unwrap_or_else(|| Status::unavailable("the logger stopped"));
                    if let Some(seen) = self.lost(status)? {
                        return Ok(seen);
                    }
                }
            }
        }
    }

    async fn begin(&mut self) -> Result<Seen, Status> {
        let request = WatchRequest {
            filter: Some(self.filter.clone()),
            after: self.cursor,
            last: if self.cursor.is_none() { self.last } else { 0 },
        };
        let begun = tokio::time::timeout(BEGIN, self.view.watch(request)).await;
        let late = || Status::unavailable("neither broker nor logger answer");
        self.stream = Some(begun.map_err(|_| late())??);
        self.is_lost = false;
        Ok(Seen::Back)
    }

    /// Tells of it the first time. An error is for good.
    fn lost(&mut self, status: Status) -> Result<Option<Seen>, Status> {
        match status.code() {
            Code::InvalidArgument | Code::PermissionDenied | Code::Unauthenticated => Err(status),
            _ if self.is_lost => Ok(None),
            _ => {
                self.is_lost = true;
                Ok(Some(Seen::Lost(status)))
            }
        }
    }
}
