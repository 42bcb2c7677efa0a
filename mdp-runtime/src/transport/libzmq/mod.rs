//! The sockets of libzmq.

pub(crate) mod close;
pub(crate) mod context;
pub(crate) mod frame;
pub(crate) mod identity;
pub(crate) mod link;
pub(crate) mod losses;
pub(crate) mod router;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
mod version;
pub(crate) mod waker;
pub(crate) mod zap;
