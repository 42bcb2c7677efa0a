//! Editions 2023 and 2024: what they mean, in proto2 or proto3.

mod encoded;
mod features;
mod lower;

pub(crate) use encoded::{Encoded, Parts, features_of, with_options};
pub(crate) use features::Edition;
pub(crate) use lower::lower;
