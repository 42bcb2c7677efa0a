//! Records over ZeroMQ's other patterns, without a broker: [`Publisher`] and [`Subscriber`], [`Pusher`] and [`Puller`],
//! and [`Pair`].
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
//! All sockets bind or connect, in any order and to any number of endpoints (a [`Pair`] to one), and reconnect by
//! themselves. They run on tokio, with I/O and time enabled: each socket belongs to its own task, and handles
//! communicate with that task.
//!
//! # Queues and losses
//!
//! Up to [`high_water_mark`](Builder::high_water_mark) messages wait for each peer at the sender, and the same number
//! at the receiver. After that, a [`Pusher`] and a [`Pair`] wait until there is room again. A [`Publisher`] never
//! waits: a subscriber without room misses messages, and other subscribers are not affected. A message without any
//! subscriber is discarded.
//!
//! A sent message is in ZeroMQ's queue (for a [`Publisher`], it will be there [soon](Publisher::flush)); this does not
//! mean that a peer has read it. Messages in a lost connection or a killed process are lost, and no error is reported.
//! If a message must not be lost, make it a call.
//!
//! # The wire
//!
//! Plain ZeroMQ, so other programs can take part. PUB and SUB: a message has two frames, the topic and the protobuf
//! message. PUSH, PULL and PAIR: one frame, the protobuf message.
//!
//! A received message of another form is a [`RecvError`], and the following messages arrive normally. A frame above
//! [`max_message_bytes`](Builder::max_message_bytes) is such an error too. A frame above twice that size is not read: the
//! connection is closed, and the connecting side connects again, over libzmq after two seconds.

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
pub use topic::{MAX_TOPIC_BYTES, Topic};
