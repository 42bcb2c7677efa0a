//! Messages that can be sent.

use bytes::Bytes;

use crate::method::MethodSpec;
use crate::status::Status;

/// A message that can be sent: any prost message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no record, so it cannot travel",
    label = "not a record",
    note = "a record is a struct or an enum with data that derives `MdpRecord`, or was made from a `.proto` file",
    note = "for an argument that is no record write `#[mdp(1)]` before it, and for such a reply `#[mdp(value)]` above the \
            method"
)]
pub trait TypedMessage: Sized {
    /// Returns the number of bytes that [`encode_to`](Self::encode_to) appends.
    fn encoded_len(&self) -> usize;
    /// Appends the encoded message.
    fn encode_to(&self, bytes: &mut Vec<u8>);
    /// Decodes a message.
    ///
    /// # Errors
    ///
    /// The bytes are not a message of this type.
    fn decode_from(bytes: Bytes) -> Result<Self, prost::DecodeError>;
}

#[diagnostic::do_not_recommend]
impl<M: prost::Message + Default> TypedMessage for M {
    fn encoded_len(&self) -> usize {
        prost::Message::encoded_len(self)
    }

    fn encode_to(&self, bytes: &mut Vec<u8>) {
        self.encode_raw(bytes);
    }

    fn decode_from(bytes: Bytes) -> Result<Self, prost::DecodeError> {
        M::decode(bytes)
    }
}

/// An encoded message, which is passed on unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded(pub Bytes);

impl TypedMessage for Encoded {
    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn encode_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.0);
    }

    fn decode_from(bytes: Bytes) -> Result<Self, prost::DecodeError> {
        Ok(Encoded(bytes))
    }
}

/// Decodes the request of a method.
///
/// # Errors
///
/// INVALID_ARGUMENT, with the message of prost.
pub fn decode<M: TypedMessage>(method: &'static MethodSpec, body: Bytes) -> Result<M, Status> {
    M::decode_from(body).map_err(|error| {
        Status::invalid_argument(format!("the request of {} cannot be read: {error}", method.path))
    })
}

/// Encodes a message as protobuf: the payload of a request or of a reply.
pub fn encode<M: TypedMessage>(message: &M) -> Bytes {
    let mut bytes = Vec::with_capacity(message.encoded_len());
    message.encode_to(&mut bytes);
    Bytes::from(bytes)
}
