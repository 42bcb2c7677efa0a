//! The wire format of MDP/RPC 1: packets of records. [`classic`] has classic MDP, and [`tunnel`] has MDP/RPC records in
//! classic messages. `docs/wire.md` is the normative text.
//!
//! A message is one packet and the payload frames that its records announce. [`read`] checks a whole message before any
//! of its records is used; [`decode`] does so for the packet alone. [`put`] writes records one after another into a
//! buffer that the driver keeps. The state machines use [`Record`].

pub mod classic;
mod credit;
mod decode;
mod encode;
mod frames;
mod header;
pub(crate) mod listing;
mod metadata;
mod record;
pub mod tunnel;

pub use credit::{UNIT, units};
pub use decode::{Body, Head, Records, Slice, WireError, decode, read};
pub use encode::{Tail, begin, put, put_tail};
pub use frames::{FramesError, put_frame, split_frames};
pub use header::{Command, Flags, HEADER_LEN, PACKET_HEADER_LEN, SIGNATURE, VERSION};
pub use listing::SchemaHash;
pub use metadata::{
    KeyError, MAX_KEY, Marks, MetadataError, check_key, check_metadata, read_marks, read_metadata,
};
pub use record::{CallKind, Direction, DisconnectReason, Part, Record, RecordError, Reply};
