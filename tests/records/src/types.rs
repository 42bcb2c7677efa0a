//! The records that `proto/types.proto` describes: types that are none of protobuf's.

// The .proto has the documentation, where there is any.
#![allow(missing_docs)]

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mdp_runtime::{MdpRecord, wkt};
use uuid::Uuid;

/// Aliases count as what they stand for.
pub type Names = Vec<String>;
pub type Counts = HashMap<String, u64>;
pub type Maybe = Option<u64>;
pub type Numbers = BTreeSet<u64>;

/// Types of the standard library.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Std {
    #[mdp(1)]
    pub at: SystemTime,
    #[mdp(2)]
    pub until: Option<SystemTime>,
    #[mdp(3)]
    pub times: Vec<SystemTime>,
    #[mdp(4)]
    pub after: Duration,
    #[mdp(5)]
    pub waits: BTreeMap<String, Duration>,
    #[mdp(6)]
    pub shared: Arc<str>,
    #[mdp(7)]
    pub boxed: Box<str>,
    #[mdp(8)]
    pub lent: Option<Cow<'static, str>>,
    #[mdp(9)]
    pub key: [u8; 4],
    #[mdp(10)]
    pub keys: Vec<[u8; 4]>,
    #[mdp(11)]
    pub boxed_bytes: Box<[u8]>,
    #[mdp(12)]
    pub shared_bytes: Arc<[u8]>,
    #[mdp(13)]
    pub queue: VecDeque<u32>,
    #[mdp(14)]
    pub names: HashSet<String>,
    #[mdp(15, sint32)]
    pub sorted: BTreeSet<i32>,
    #[mdp(16)]
    pub alias: Names,
    #[mdp(17)]
    pub by_name: Counts,
    #[mdp(18)]
    pub maybe: Maybe,
    #[mdp(19)]
    pub set: Numbers,
}

/// Types of other crates.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Crates {
    #[mdp(1)]
    pub id: Uuid,
    #[mdp(2, bytes)]
    pub raw_id: Uuid,
    #[mdp(3)]
    pub ids: Vec<Uuid>,
    #[mdp(4)]
    pub chrono_at: chrono::DateTime<chrono::Utc>,
    #[mdp(5)]
    pub chrono_for: chrono::TimeDelta,
    #[mdp(6)]
    pub time_at: time::OffsetDateTime,
    #[mdp(7)]
    pub time_utc: time::UtcDateTime,
    #[mdp(8)]
    pub time_for: time::Duration,
    #[mdp(9)]
    pub wrapped: Option<wkt::StringValue>,
}

/// Goes as the text.
#[derive(MdpRecord, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserId(pub String);

/// Goes as `sint64`.
#[derive(MdpRecord, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Score(#[mdp(sint64)] pub i64);

/// Goes as the list.
#[derive(MdpRecord, Clone, Debug, PartialEq, Eq)]
pub struct Tags(pub Vec<String>);

/// Goes as the text of the address.
#[derive(MdpRecord, Clone, Debug, PartialEq, Eq)]
pub struct Host(#[mdp(as = String)] pub Option<IpAddr>);

/// A port that is not zero, by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Port(pub u16);

impl From<Port> for u32 {
    fn from(port: Port) -> Self {
        port.0.into()
    }
}

impl TryFrom<u32> for Port {
    type Error = String;

    fn try_from(port: u32) -> Result<Self, String> {
        u16::try_from(port).map(Port).map_err(|_| format!("{port} is no port"))
    }
}

/// Milliseconds, for `with`.
pub mod millis {
    use std::time::Duration;

    pub type Wire = u64;

    pub fn to_wire(duration: &Duration) -> u64 {
        u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
    }

    pub fn from_wire(millis: u64) -> Result<Duration, &'static str> {
        if millis > 1_000_000 { Err("that is too long") } else { Ok(Duration::from_millis(millis)) }
    }
}

/// Types around others, and types that go as others.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Others {
    #[mdp(1)]
    pub user: UserId,
    #[mdp(2)]
    pub users: Vec<UserId>,
    #[mdp(3)]
    pub scores: BTreeMap<UserId, Score>,
    #[mdp(4)]
    pub names: BTreeMap<u64, UserId>,
    #[mdp(5)]
    pub score: Option<Score>,
    #[mdp(6)]
    pub all_scores: Vec<Score>,
    #[mdp(7)]
    pub tags: Tags,
    #[mdp(8, as = String, default = IpAddr::from([127, 0, 0, 1]))]
    pub address: IpAddr,
    #[mdp(9, as = String)]
    pub maybe_address: Option<IpAddr>,
    #[mdp(10, as = u32)]
    pub small: Vec<u16>,
    #[mdp(11, as = u32)]
    pub port: Port,
    #[mdp(12, with = millis)]
    pub millis: Duration,
    #[mdp(13, with = crate::types::millis)]
    pub more_millis: VecDeque<Duration>,
    #[mdp(14)]
    pub host: Host,
    #[mdp(15)]
    pub event: Option<Event>,
    #[mdp(16)]
    pub events: Vec<Event>,
    #[mdp(17)]
    pub by_name: BTreeMap<String, Event>,
    #[mdp(18, as = String)]
    pub hosts: BTreeSet<IpAddr>,
    #[mdp(19, unpacked)]
    pub one_by_one: VecDeque<u64>,
}

/// One of them.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub enum Event {
    /// Someone came.
    #[mdp(1)]
    Came(String),
    #[mdp(2, with = millis)]
    Left(Duration),
    #[mdp(3)]
    At(SystemTime),
    #[mdp(4, as = String)]
    From(IpAddr),
}
