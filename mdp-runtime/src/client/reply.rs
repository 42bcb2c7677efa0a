//! What a call gives: a record, or the one value of a record.

use std::fmt::Display;
use std::future::IntoFuture;
use std::marker::PhantomData;

use bytes::Bytes;

use super::{Call, CallFuture};
use crate::call::TypedMessage;

/// The reply of a call, as the call's type names it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no record, so it cannot be a reply",
    label = "not a record",
    note = "a record is a struct or an enum with data that derives `MdpRecord`, or was made from a `.proto` file",
    note = "for a reply that is no record write `#[mdp(value)]` above the method"
)]
pub trait CallReply {
    /// What the call gives.
    type Value;

    /// Reads the reply.
    ///
    /// # Errors
    ///
    /// The bytes are not a message of this type.
    fn read(bytes: Bytes) -> Result<Self::Value, impl Display>;
}

#[diagnostic::do_not_recommend]
impl<M: TypedMessage> CallReply for M {
    type Value = M;

    fn read(bytes: Bytes) -> Result<M, impl Display> {
        M::decode_from(bytes)
    }
}

/// A record with one field, `value`, that stands for what is in the field.
pub trait ValueRecord: TypedMessage {
    /// The type of the field.
    type Value;

    /// Returns the field.
    fn into_value(self) -> Self::Value;
}

/// The reply of a method that returns a value in place of a record. The call gives the value.
#[derive(Debug)]
pub struct ValueOf<R>(PhantomData<fn() -> R>);

impl<R: ValueRecord> CallReply for ValueOf<R> {
    type Value = R::Value;

    fn read(bytes: Bytes) -> Result<R::Value, impl Display> {
        R::decode_from(bytes).map(R::into_value)
    }
}

/// The future of a call's reply.
pub fn reply_of<R: CallReply>(call: Call<R>) -> CallFuture<R> {
    call.into_future()
}
