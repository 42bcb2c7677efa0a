//! The well-known types of protobuf, `google.protobuf.*`, and conversions between them and types of Rust.
//!
//! | type | `.proto` | content |
//! |---|---|---|
//! | [`Timestamp`] | `google/protobuf/timestamp.proto` | a moment: seconds since 1970 in UTC, and nanoseconds |
//! | [`Duration`] | `google/protobuf/duration.proto` | a length of time with a sign |
//! | [`Any`] | `google/protobuf/any.proto` | the URL of a type, and an encoded message of it |
//! | [`Struct`], [`Value`], [`ListValue`], [`NullValue`] | `google/protobuf/struct.proto` | what JSON can express |
//! | [`FieldMask`] | `google/protobuf/field_mask.proto` | names of fields |
//! | [`Empty`] | `google/protobuf/empty.proto` | nothing; it is `()` |
//! | [`StringValue`], [`BoolValue`], .. | `google/protobuf/wrappers.proto` | one value that may be absent |
//!
//! All of them can be fields of records, requests and replies. The fields of a record may also have the types of Rust:
//! `SystemTime` and `std::time::Duration` are a `Timestamp` and a `Duration` on the wire. So are the types of the crates
//! `chrono` and `time`, with the features of these names.
//!
//! [`FromRust`] and [`ToRust`] convert where a `.proto` file has made the message:
//!
//! ```
//! use std::time::SystemTime;
//!
//! use mdp_runtime::wkt::{FromRust, Timestamp, ToRust};
//!
//! let at = Timestamp::from_rust(SystemTime::UNIX_EPOCH);
//! assert_eq!(at, Timestamp { seconds: 0, nanos: 0 });
//! let back: SystemTime = at.to_rust()?;
//! assert_eq!(back, SystemTime::UNIX_EPOCH);
//! # Ok::<(), mdp_runtime::wkt::OutOfRange>(())
//! ```
//!
//! | [`Timestamp`] from and to | [`Duration`] from and to | feature |
//! |---|---|---|
//! | `std::time::SystemTime` | `std::time::Duration` | |
//! | `chrono::DateTime<chrono::Utc>` | `chrono::TimeDelta` | `chrono` |
//! | `time::OffsetDateTime`, `time::UtcDateTime` | `time::Duration` | `time` |

use std::fmt;
use std::time::{Duration as StdDuration, SystemTime};

pub use prost_types::value::Kind;
pub use prost_types::{Any, Duration, FieldMask, ListValue, NullValue, Struct, Timestamp, Value};

/// `google.protobuf.Empty`: a message without fields.
pub type Empty = ();

/// Makes a well-known type from a type of Rust.
///
/// Protobuf has a [`Timestamp`] from the year 1 to 9999, and a [`Duration`] of up to 10,000 years. What is outside becomes
/// the end of this range.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be made from `{T}`",
    note = "types of the crates `chrono` and `time` need the features `chrono` and `time` of `mdp-runtime`"
)]
pub trait FromRust<T> {
    /// Converts the value.
    fn from_rust(value: T) -> Self;
}

/// Makes a type of Rust from a well-known type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be converted to `{T}`",
    note = "types of the crates `chrono` and `time` need the features `chrono` and `time` of `mdp-runtime`"
)]
pub trait ToRust<T> {
    /// Converts the value.
    ///
    /// # Errors
    ///
    /// The type of Rust cannot hold the value.
    fn to_rust(&self) -> Result<T, OutOfRange>;
}

/// The error of a value that the type of Rust cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutOfRange {
    value: String,
    wanted: &'static str,
}

impl OutOfRange {
    fn of(value: &impl fmt::Debug, wanted: &'static str) -> Self {
        OutOfRange { value: format!("{value:?}"), wanted }
    }
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} does not fit into `{}`", self.value, self.wanted)
    }
}

impl std::error::Error for OutOfRange {}

const NANOS_PER_SECOND: i128 = 1_000_000_000;
/// 0001-01-01T00:00:00Z.
const FIRST_NANO: i128 = -62_135_596_800 * NANOS_PER_SECOND;
/// 9999-12-31T23:59:59.999999999Z.
const LAST_NANO: i128 = 253_402_300_800 * NANOS_PER_SECOND - 1;
/// 10,000 years, as protobuf counts them.
const LONGEST: i128 = 315_576_000_000 * NANOS_PER_SECOND;

/// A moment, from its distance to 1970 in nanoseconds.
fn timestamp(nanos: i128) -> Timestamp {
    let nanos = nanos.clamp(FIRST_NANO, LAST_NANO);
    Timestamp {
        seconds: whole(nanos.div_euclid(NANOS_PER_SECOND)),
        nanos: part(nanos.rem_euclid(NANOS_PER_SECOND)),
    }
}

fn nanos_of_timestamp(timestamp: &Timestamp) -> i128 {
    i128::from(timestamp.seconds) * NANOS_PER_SECOND + i128::from(timestamp.nanos)
}

/// A length of time, from its nanoseconds. Both fields have the same sign.
fn duration(nanos: i128) -> Duration {
    let nanos = nanos.clamp(-LONGEST, LONGEST);
    Duration { seconds: whole(nanos / NANOS_PER_SECOND), nanos: part(nanos % NANOS_PER_SECOND) }
}

fn nanos_of_duration(duration: &Duration) -> i128 {
    i128::from(duration.seconds) * NANOS_PER_SECOND + i128::from(duration.nanos)
}

// The ranges above are far within both types.
fn whole(seconds: i128) -> i64 {
    i64::try_from(seconds).unwrap_or_default()
}

fn part(nanos: i128) -> i32 {
    i32::try_from(nanos).unwrap_or_default()
}

/// The nanoseconds of a duration of the standard library. The longest one has more than an `i128` could lose.
fn std_nanos(duration: StdDuration) -> i128 {
    i128::from(duration.as_secs()) * NANOS_PER_SECOND + i128::from(duration.subsec_nanos())
}

/// A duration of the standard library. `None`: it does not fit.
fn std_duration(nanos: i128) -> Option<StdDuration> {
    let seconds = u64::try_from(nanos.checked_div(NANOS_PER_SECOND)?).ok()?;
    let nanos = u32::try_from(nanos % NANOS_PER_SECOND).ok()?;
    Some(StdDuration::new(seconds, nanos))
}

impl FromRust<SystemTime> for Timestamp {
    fn from_rust(value: SystemTime) -> Self {
        timestamp(match value.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => std_nanos(after),
            Err(before) => -std_nanos(before.duration()),
        })
    }
}

impl ToRust<SystemTime> for Timestamp {
    fn to_rust(&self) -> Result<SystemTime, OutOfRange> {
        let nanos = nanos_of_timestamp(self);
        let time = match std_duration(nanos.abs()) {
            Some(after) if nanos >= 0 => SystemTime::UNIX_EPOCH.checked_add(after),
            Some(before) => SystemTime::UNIX_EPOCH.checked_sub(before),
            None => None,
        };
        time.ok_or_else(|| OutOfRange::of(self, "std::time::SystemTime"))
    }
}

impl FromRust<StdDuration> for Duration {
    fn from_rust(value: StdDuration) -> Self {
        duration(std_nanos(value))
    }
}

impl ToRust<StdDuration> for Duration {
    fn to_rust(&self) -> Result<StdDuration, OutOfRange> {
        std_duration(nanos_of_duration(self))
            .ok_or_else(|| OutOfRange::of(self, "std::time::Duration"))
    }
}

#[cfg(feature = "chrono")]
mod of_chrono {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::{
        Duration, FromRust, NANOS_PER_SECOND, OutOfRange, Timestamp, ToRust, duration,
        nanos_of_duration, nanos_of_timestamp, timestamp,
    };

    impl FromRust<DateTime<Utc>> for Timestamp {
        fn from_rust(value: DateTime<Utc>) -> Self {
            // A leap second has more than 10^9 nanoseconds, and counts as the second after it.
            let nanos = i128::from(value.timestamp_subsec_nanos());
            timestamp(i128::from(value.timestamp()) * NANOS_PER_SECOND + nanos)
        }
    }

    impl ToRust<DateTime<Utc>> for Timestamp {
        fn to_rust(&self) -> Result<DateTime<Utc>, OutOfRange> {
            let nanos = nanos_of_timestamp(self);
            let seconds = i64::try_from(nanos.div_euclid(NANOS_PER_SECOND)).ok();
            let part = u32::try_from(nanos.rem_euclid(NANOS_PER_SECOND)).ok();
            let time = seconds.zip(part).and_then(|(s, n)| DateTime::from_timestamp(s, n));
            time.ok_or_else(|| OutOfRange::of(self, "chrono::DateTime<Utc>"))
        }
    }

    impl FromRust<TimeDelta> for Duration {
        fn from_rust(value: TimeDelta) -> Self {
            let nanos = i128::from(value.subsec_nanos());
            duration(i128::from(value.num_seconds()) * NANOS_PER_SECOND + nanos)
        }
    }

    impl ToRust<TimeDelta> for Duration {
        fn to_rust(&self) -> Result<TimeDelta, OutOfRange> {
            let nanos = nanos_of_duration(self);
            let seconds = i64::try_from(nanos.div_euclid(NANOS_PER_SECOND)).ok();
            let part = u32::try_from(nanos.rem_euclid(NANOS_PER_SECOND)).ok();
            let delta = seconds.zip(part).and_then(|(s, n)| TimeDelta::new(s, n));
            delta.ok_or_else(|| OutOfRange::of(self, "chrono::TimeDelta"))
        }
    }
}

#[cfg(feature = "time")]
mod of_time {
    use time::{OffsetDateTime, UtcDateTime};

    use super::{
        Duration, FromRust, NANOS_PER_SECOND, OutOfRange, Timestamp, ToRust, duration,
        nanos_of_duration, nanos_of_timestamp, timestamp,
    };

    impl FromRust<OffsetDateTime> for Timestamp {
        fn from_rust(value: OffsetDateTime) -> Self {
            timestamp(value.unix_timestamp_nanos())
        }
    }

    impl ToRust<OffsetDateTime> for Timestamp {
        fn to_rust(&self) -> Result<OffsetDateTime, OutOfRange> {
            OffsetDateTime::from_unix_timestamp_nanos(nanos_of_timestamp(self))
                .map_err(|_| OutOfRange::of(self, "time::OffsetDateTime"))
        }
    }

    impl FromRust<UtcDateTime> for Timestamp {
        fn from_rust(value: UtcDateTime) -> Self {
            timestamp(value.unix_timestamp_nanos())
        }
    }

    impl ToRust<UtcDateTime> for Timestamp {
        fn to_rust(&self) -> Result<UtcDateTime, OutOfRange> {
            UtcDateTime::from_unix_timestamp_nanos(nanos_of_timestamp(self))
                .map_err(|_| OutOfRange::of(self, "time::UtcDateTime"))
        }
    }

    impl FromRust<time::Duration> for Duration {
        fn from_rust(value: time::Duration) -> Self {
            duration(value.whole_nanoseconds())
        }
    }

    impl ToRust<time::Duration> for Duration {
        fn to_rust(&self) -> Result<time::Duration, OutOfRange> {
            let nanos = nanos_of_duration(self);
            let seconds = i64::try_from(nanos / NANOS_PER_SECOND).ok();
            let part = i32::try_from(nanos % NANOS_PER_SECOND).ok();
            let parts = seconds.zip(part);
            parts
                .map(|(seconds, nanos)| time::Duration::new(seconds, nanos))
                .ok_or_else(|| OutOfRange::of(self, "time::Duration"))
        }
    }
}

/// A message with one value, which differs from a message that is absent.
macro_rules! wrappers {
    ($($name:ident($ty:ty, $prost:meta);)*) => {$(
        #[doc = concat!("`google.protobuf.", stringify!($name), "`: one value that may be absent, as `Option<",
            stringify!($name), ">` in a record. New schemas use `optional` in its place.")]
        #[derive(Clone, PartialEq, prost::Message)]
        pub struct $name {
            /// The value.
            #[prost($prost, tag = "1")]
            pub value: $ty,
        }

        impl From<$ty> for $name {
            fn from(value: $ty) -> Self {
                $name { value }
            }
        }

        impl From<$name> for $ty {
            fn from(wrapper: $name) -> Self {
                wrapper.value
            }
        }
    )*};
}

wrappers! {
    DoubleValue(f64, double);
    FloatValue(f32, float);
    Int64Value(i64, int64);
    UInt64Value(u64, uint64);
    Int32Value(i32, int32);
    UInt32Value(u32, uint32);
    BoolValue(bool, bool);
    StringValue(String, string);
    BytesValue(Vec<u8>, bytes = "vec");
}
