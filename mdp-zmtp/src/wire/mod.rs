//! The octets of ZMTP 3.1: greeting, frames, commands, metadata.

pub(crate) mod command;
pub(crate) mod frame;
pub(crate) mod greeting;
pub(crate) mod metadata;
