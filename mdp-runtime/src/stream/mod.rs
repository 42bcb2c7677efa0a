//! Streams of messages within a call, in either direction.
//!
//! - At a client, a call whose replies stream gives a [`Streaming`]; one whose requests stream a [`RequestSender`].
//! - At a worker, a handler gets a [`Streaming`] of requests, and returns any [`Stream`] of replies: one of its own, the
//!   one of a [`channel`], a [`Broadcaster`]'s [`Subscription`], or [`acknowledge`]'s.
//!
//! Each stream has a window: who sends waits until its reader has room. The broker passes messages on and keeps none.

mod broadcast;
mod flow;
mod purse;
mod replies;
mod sender;
mod streaming;

pub use broadcast::{Broadcaster, Lag, Subscription};
pub use futures_core::Stream;
pub use replies::{NobodyListens, ReplySender, ReplyStream, acknowledge, channel};
pub use sender::RequestSender;
pub use streaming::Streaming;

pub(crate) use flow::{Carrier, Flow, cost, joined};
pub(crate) use purse::Purse;
#[doc(hidden)]
pub use replies::send_replies;
