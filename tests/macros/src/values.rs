//! Methods with arguments and values in place of records, with bodies, and with errors of their own.

use ::core::clone::Clone;
use ::core::convert::From;
use ::core::fmt::Debug;
use ::core::option::Option;
use ::core::result::Result;
use ::mdp_runtime::{CallContext, MdpRecord, Status, Stream, Streaming, mdp_service, stream};
use ::std::collections::BTreeMap;
use ::std::string::String;
use ::std::time::SystemTime;
use ::std::vec::Vec;

/// One thing.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Item {
    /// Its number.
    #[mdp(1)]
    pub id: Id,
    /// Its name.
    #[mdp(2)]
    pub name: String,
}

/// The number of a thing.
#[derive(MdpRecord, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(pub u64);

/// What there is to know.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub enum Event {
    /// A new thing.
    #[mdp(1)]
    Added(Item),
    /// One less.
    #[mdp(2)]
    Removed(Id),
}

/// How things are.
#[derive(MdpRecord, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It was not said.
    Unknown = 0,
    /// All is well.
    Well = 1,
}

/// Things of this module's.
pub mod inner {
    pub use super::Item as Thing;
}

/// The number of bytes of a key.
pub const KEY: usize = 4;

/// Keeps things.
#[mdp_service(package = "values.v1")]
pub trait Items {
    /// Some of them.
    #[mdp(no_side_effects)]
    async fn get(&self, id: u64, tag: Option<String>) -> Result<Vec<Item>, Status>;
    /// One value in, one value out.
    async fn length(&self, cx: &CallContext, name: String) -> Result<u32, Status>;
    /// All kinds of types.
    async fn kinds(
        &self,
        at: SystemTime,
        key: [u8; KEY],
        thing: inner::Thing,
        r#type: ::std::time::Duration,
        by_id: BTreeMap<u64, self::Item>,
    ) -> Result<BTreeMap<u64, Item>, Status>;
    /// Numbers that were said.
    async fn numbered(&self, #[mdp(3, sint64)] low: i64, #[mdp(1)] id: Id) -> Result<i64, Status>;
    /// One value that is no record by its name.
    #[mdp(value)]
    async fn mood(&self, #[mdp(1)] id: Id) -> Result<Mood, Status>;
    /// An enum with data both ways.
    async fn react(&self, event: Event) -> Result<Event, Status>;
    /// Nothing comes back.
    async fn forget(&self, ids: Vec<Id>, all: bool) -> Result<(), Status>;
    /// Blocks.
    #[mdp(blocking)]
    fn add(&self, one: i32, other: i32) -> Result<i32, Status>;
    /// Items of a stream.
    async fn watch(
        &self,
        from: u64,
        to: u64,
    ) -> Result<impl Stream<Item = Result<Event, Status>>, Status>;
}

/// Bodies and methods that may be left out.
#[mdp_service(package = "values.v1")]
pub trait Defaults {
    /// Written by all.
    async fn name(&self, item: Item) -> Result<Item, Status>;
    /// Written by some.
    async fn twice(&self, cx: &CallContext, mut item: Item) -> Result<Item, Status> {
        let _ = cx.attempt();
        item = self.name(item).await?;
        self.name(item).await
    }
    /// With arguments.
    async fn sum(&self, one: u32, other: u32) -> Result<u32, Status> {
        Result::Ok(one + other)
    }
    /// Written by nobody here.
    #[mdp(optional)]
    async fn later(&self, item: Item) -> Result<Item, Status>;
    /// A stream that nobody writes.
    #[mdp(optional)]
    async fn much_later(&self) -> Result<impl Stream<Item = Result<Item, Status>>, Status>;
    /// A stream with a body.
    async fn empty(&self) -> Result<impl Stream<Item = Result<Item, Status>>, Status> {
        let (sender, replies) = stream::channel(1);
        ::core::mem::drop(sender);
        Result::Ok(replies)
    }
    /// Blocks.
    #[mdp(blocking)]
    fn block(&self, item: Item) -> Result<Item, Status> {
        Result::Ok(item)
    }
    /// Streams both ways.
    async fn echo(
        &self,
        cx: &CallContext,
        items: Streaming<Item>,
    ) -> Result<impl Stream<Item = Result<Item, Status>>, Status>;
    /// Streams in.
    async fn count(&self, items: Streaming<Item>) -> Result<Item, Status>;
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wrong {
    /// The thing is not there.
    Missing,
}

impl From<Wrong> for Status {
    fn from(wrong: Wrong) -> Status {
        match wrong {
            Wrong::Missing => Status::not_found("missing"),
        }
    }
}

/// Results of this module's.
pub mod results {
    /// With an error of its own.
    pub type Result<T> = ::core::result::Result<T, super::Wrong>;
}

/// Errors of its own.
#[mdp_service(package = "values.v1")]
pub trait Errors {
    /// Written out.
    async fn written(&self, item: Item) -> Result<Item, Wrong>;
    /// By an alias.
    async fn alias(&self, item: Item) -> results::Result<Item>;
    /// By an alias, with values.
    async fn values(&self, one: u32, other: u32) -> results::Result<Vec<u32>>;
    /// Blocks.
    #[mdp(blocking)]
    fn blocks(&self, item: Item) -> Result<Item, Wrong>;
    /// Streams.
    async fn streams(&self) -> Result<impl Stream<Item = Result<Item, Status>>, Wrong>;
    /// As before.
    async fn plain(&self) -> Result<(), Status>;
}
