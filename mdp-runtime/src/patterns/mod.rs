//! Records over ZeroMQ's other patterns, without a broker: [`Publisher`] and [`Subscriber`], [`Pusher`] and [`Puller`],
//! [`Pair`].
//!
//! ```
//! use mdp_runtime::MdpRecord;
//! use mdp_runtime::patterns::{Puller, Pusher};
//!
//! #[derive(MdpRecord, Clone, Debug, PartialEq)]
//! struct Job {
//!     #[mdp(1)]
//!     page: u32,
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pusher = Pusher::<Job>::builder().bind("tcp://127.0.0.1:*").start()?;
//! let mut puller = Puller::<Job>::builder().connect(&pusher.endpoints()[0]).start()?;
//! pusher.send(&Job { page: 7 }).await?;
//! assert_eq!(puller.recv().await?, Some(Job { page: 7 }));
//! pusher.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! All of them bind or connect, in any order and to any number of endpoints (a [`Pair`] to one), and connect again by
//! themselves. They run on tokio, with I/O and time enabled: each socket belongs to a task of its own, and handles talk to that.
//!
//! # What may wait, and what is lost
//!
//! Up to [`high_water_mark`](Builder::high_water_mark) messages wait for each peer at the sender, and as many at the receiver.
//! Then a [`Pusher`] and a [`Pair`] wait until there is room again; a [`Publisher`] never waits: what a subscriber has no
//! room for passes it by, and it alone. A message for whom nobody has subscribed goes nowhere.
//!
//! Sent means that ZeroMQ has it (or, of a [`Publisher`], will have it [soon](Publisher::flush)), not that somebody has read it. What
//! a lost connection or a killed process held is gone, and nobody is told. If a message must not be lost, make it a call.
//!
//! # The wire
//!
//! Plain ZeroMQ, so foreign programs can take part. PUB and SUB: a message has two frames, the topic and the protobuf
//! message. PUSH, PULL and PAIR: one frame, the protobuf message.
//!
//! What a peer sends that is not this is a [`RecvError`], and the messages after it come as if nothing had been. A frame
//! above [`max_message_bytes`](Builder::max_message_bytes) is one too. One above twice that is not even read: ZeroMQ closes the
//! connection, and who had connected does so again after two seconds.

mod builder;
mod driver;
mod error;
mod handle;
mod last_values;
mod pair;
mod parts;
mod publisher;
mod push;
mod reconnect;
mod subscriber;
mod topic;

pub use builder::Builder;
pub use error::{RecvError, SendError, StartError, SubscribeError};
pub use pair::{Pair, PairReceiver, PairSender};
pub use publisher::Publisher;
pub use push::{Puller, Pusher};
pub use subscriber::{Published, Subscriber};
pub use topic::{MOST_TOPIC_BYTES, Topic};
