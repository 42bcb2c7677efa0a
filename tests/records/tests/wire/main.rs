//! Records on the wire, beside prost's messages of the same schema.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod convert;
mod enums;
mod fields;
mod macros;
mod oneofs;
mod properties;
mod python;
mod random;
mod schema;
mod types;
mod unknown;

use std::fmt::Debug;

use prost::Message;

/// That a record and prost's message of it are the same bytes, and that each reads the other's.
#[track_caller]
fn same<R, P>(record: &R, message: &P)
where
    R: Message + Default + Debug + PartialEq,
    P: Message + Default + Debug + PartialEq,
{
    let bytes = record.encode_to_vec();
    assert_eq!(hex(&bytes), hex(&message.encode_to_vec()), "of {record:?}");
    assert_eq!(bytes.len(), record.encoded_len(), "the length of {record:?}");
    assert_eq!(R::decode(bytes.as_slice()).as_ref(), Ok(record));
    assert_eq!(P::decode(bytes.as_slice()).as_ref(), Ok(message));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
