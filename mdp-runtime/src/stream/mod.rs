//! Streams of messages within a call, in either direction.
//!
//! - At a client, a call whose replies stream returns a [`Streaming`]; a call whose requests stream returns a
//!   [`RequestSender`].
//! - At a worker, a handler receives a [`Streaming`] of requests, and returns any [`Stream`] of replies: its own type,
//!   the stream of a [`channel`], a [`Broadcaster`]'s [`Subscription`], or the stream of [`acknowledge`].
//!
//! Each stream has a window: the sender waits until the reader has room. The broker forwards messages and stores none.

mod broadcast;
mod flow;
mod owned;
mod replies;
mod send_credit;
mod sender;
mod streaming;

pub use broadcast::{Broadcaster, Lag, Subscription};
pub use futures_core::Stream;
pub use replies::{ReplySender, ReplyStream, SendError, acknowledge, channel};
pub use sender::RequestSender;
pub use streaming::Streaming;

pub(crate) use flow::{Carrier, Flow, cost, joined};
#[doc(hidden)]
pub use owned::{Owner, owned};
#[doc(hidden)]
pub use replies::send_replies;
pub(crate) use send_credit::SendCredit;
