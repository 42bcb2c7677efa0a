//! Times of Rust as `google.protobuf.Timestamp` and `google.protobuf.Duration`.
//!
//! What is outside of protobuf's range is written as the end of the range: the years 1 to 9999, and 10,000 years.

use std::time::{Duration as StdDuration, SystemTime};

use prost_types::{Duration, Timestamp};

use super::convert::{Conversion, Convert, ConvertZero, Through};
use super::field_type::FieldType;
use crate::codegen::wkt;

/// Goes as `google.protobuf.Timestamp`.
#[derive(Debug)]
pub enum AsTimestamp {}

/// Goes as `google.protobuf.Duration`.
#[derive(Debug)]
pub enum AsDuration {}

impl Conversion for AsTimestamp {
    type Wire = Timestamp;
}

impl Conversion for AsDuration {
    type Wire = Duration;
}

/// A type of times, by the functions of `wkt`.
macro_rules! times {
    ($($ty:ty => $by:ident($wire:ty), $zero:expr;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl Convert<$ty> for $by {
            fn to_wire(value: &$ty) -> $wire {
                wkt::FromRust::from_rust(*value)
            }

            fn from_wire(wire: $wire) -> Result<$ty, String> {
                wkt::ToRust::to_rust(&wire).map_err(|error| error.to_string())
            }

            fn absent() -> Option<$ty> {
                Some($zero)
            }

            fn merges_into(value: &$ty) -> Option<$wire> {
                Some(Self::to_wire(value))
            }
        }

        #[diagnostic::do_not_recommend]
        impl ConvertZero<$ty> for $by {
            fn zero() -> $ty {
                $zero
            }
        }

        impl FieldType for $ty {
            type Codec = Through<$by>;
        }
    )*};
}

times! {
    SystemTime => AsTimestamp(Timestamp), SystemTime::UNIX_EPOCH;
    StdDuration => AsDuration(Duration), StdDuration::ZERO;
}

#[cfg(feature = "chrono")]
times! {
    chrono::DateTime<chrono::Utc> => AsTimestamp(Timestamp), chrono::DateTime::UNIX_EPOCH;
    chrono::TimeDelta => AsDuration(Duration), chrono::TimeDelta::zero();
}

#[cfg(feature = "time")]
times! {
    time::OffsetDateTime => AsTimestamp(Timestamp), time::OffsetDateTime::UNIX_EPOCH;
    time::UtcDateTime => AsTimestamp(Timestamp), time::UtcDateTime::UNIX_EPOCH;
    time::Duration => AsDuration(Duration), time::Duration::ZERO;
}
