//! Plain messages: a stack of frames.

mod error;
mod print;

use std::any::type_name;
use std::collections::VecDeque;
use std::str;

use bytes::Bytes;

pub use error::MessageError;
use mdp_call::codec::record::TypedMessage;

/// A message of frames, used as a stack. The top is the front: the frame that is sent first.
///
/// `push_*` puts a frame on top, `pop_*` takes the top frame, `peek_*` reads the top frame and leaves it. `append_*`
/// adds a frame at the back, so a message can be written in the order in which it is read. A frame holds one value:
///
/// | type | the frame |
/// |---|---|
/// | `i32`, `i64` | 4 or 8 bytes, two's complement, big endian (network byte order) |
/// | `f32`, `f64` | 4 or 8 bytes, IEEE 754, big endian |
/// | an enum | its number, as an `i32` |
/// | text | UTF-8, without a length and without a zero at the end |
/// | bytes | as they are |
/// | a record | the protobuf message |
///
/// A frame does not store the type of its value: sender and receiver must agree on it. A failed pop leaves the message
/// unchanged. Frames move in and out without being copied.
///
/// ```
/// use mdp_runtime::{Message, MessageError};
///
/// let mut message = Message::new();
/// message.push_f64(21.5).push_i32(7).push_str("sensor"); // "sensor" is on top
///
/// assert_eq!(message.len(), 3);
/// assert_eq!(message.pop_string()?, "sensor");
/// assert!(matches!(message.pop_i64(), Err(MessageError::Size { expected: 8, found: 4, .. })));
/// assert_eq!(message.pop_i32()?, 7); // it is still there
/// assert_eq!(message.pop_f64()?, 21.5);
/// assert!(message.is_empty());
/// # Ok::<(), MessageError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// The top is the front.
    frames: VecDeque<Bytes>,
}

/// The four methods of a number type.
macro_rules! number {
    ($type:ident, $push:ident, $append:ident, $peek:ident, $pop:ident) => {
        #[doc = concat!("Puts an `", stringify!($type), "` on top.")]
        pub fn $push(&mut self, value: $type) -> &mut Self {
            self.push_bytes(value.to_be_bytes().to_vec())
        }

        #[doc = concat!("Adds an `", stringify!($type), "` at the back.")]
        pub fn $append(&mut self, value: $type) -> &mut Self {
            self.append_bytes(value.to_be_bytes().to_vec())
        }

        #[doc = concat!("Reads the top as an `", stringify!($type), "` and leaves it there.")]
        ///
        /// # Errors
        ///
        /// [`Missing`](MessageError::Missing), or the frame has another [`Size`](MessageError::Size).
        pub fn $peek(&self) -> Result<$type, MessageError> {
            let frame = self.top(stringify!($type))?;
            frame.as_ref().try_into().map($type::from_be_bytes).map_err(|_| MessageError::Size {
                wanted: stringify!($type),
                expected: size_of::<$type>(),
                found: frame.len(),
            })
        }

        #[doc = concat!("Takes the top as an `", stringify!($type), "`.")]
        ///
        /// # Errors
        ///
        /// [`Missing`](MessageError::Missing), or the frame has another [`Size`](MessageError::Size). The message stays
        /// unchanged.
        pub fn $pop(&mut self) -> Result<$type, MessageError> {
            let value = self.$peek()?;
            self.frames.pop_front();
            Ok(value)
        }
    };
}

impl Message {
    /// Makes a message without frames.
    pub fn new() -> Self {
        Message::default()
    }

    /// Makes a message of these frames; the first one is the top.
    pub fn from_frames(frames: impl IntoIterator<Item = Bytes>) -> Self {
        frames.into_iter().collect()
    }

    /// Returns the frames by value, the top first.
    pub fn into_frames(self) -> Vec<Bytes> {
        self.frames.into()
    }

    /// Returns the frames, the top first.
    pub fn frames(&self) -> impl DoubleEndedIterator<Item = &Bytes> + ExactSizeIterator {
        self.frames.iter()
    }

    /// Returns the number of frames.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether the message has no frames.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    number!(i32, push_i32, append_i32, peek_i32, pop_i32);
    number!(i64, push_i64, append_i64, peek_i64, pop_i64);
    number!(f32, push_f32, append_f32, peek_f32, pop_f32);
    number!(f64, push_f64, append_f64, peek_f64, pop_f64);

    /// Puts the number of an enum's variant on top, as an `i32`.
    ///
    /// ```
    /// use mdp_runtime::{Message, MessageError};
    ///
    /// #[derive(Debug, PartialEq)]
    /// enum Light {
    ///     Red = 1,
    ///     Green = 2,
    /// }
    ///
    /// impl From<Light> for i32 {
    ///     fn from(light: Light) -> i32 {
    ///         light as i32
    ///     }
    /// }
    ///
    /// impl TryFrom<i32> for Light {
    ///     type Error = ();
    ///     fn try_from(number: i32) -> Result<Self, ()> {
    ///         match number {
    ///             1 => Ok(Light::Red),
    ///             2 => Ok(Light::Green),
    ///             _ => Err(()),
    ///         }
    ///     }
    /// }
    ///
    /// let mut message = Message::new();
    /// message.push_i32(3).push_enum(Light::Green);
    /// assert_eq!(message.pop_enum::<Light>()?, Light::Green);
    /// assert!(matches!(message.pop_enum::<Light>(), Err(MessageError::Enum { number: 3, .. })));
    /// # Ok::<(), MessageError>(())
    /// ```
    pub fn push_enum<E: Into<i32>>(&mut self, value: E) -> &mut Self {
        self.push_i32(value.into())
    }

    /// Adds the number of an enum's variant at the back, as an `i32`.
    pub fn append_enum<E: Into<i32>>(&mut self, value: E) -> &mut Self {
        self.append_i32(value.into())
    }

    /// Reads the top as the number of an enum's variant and leaves it there.
    ///
    /// # Errors
    ///
    /// [`Missing`](MessageError::Missing), the frame's [`Size`](MessageError::Size) is not 4 bytes, or the enum has [no
    /// variant](MessageError::Enum) with this number.
    pub fn peek_enum<E: TryFrom<i32>>(&self) -> Result<E, MessageError> {
        let wanted = type_name::<E>();
        let number = self.peek_i32().map_err(|error| error.wanting(wanted))?;
        E::try_from(number).map_err(|_| MessageError::Enum { wanted, number })
    }

    /// Takes the top as the number of an enum's variant.
    ///
    /// # Errors
    ///
    /// The errors of [`peek_enum`](Self::peek_enum). The message stays unchanged.
    pub fn pop_enum<E: TryFrom<i32>>(&mut self) -> Result<E, MessageError> {
        let value = self.peek_enum()?;
        self.frames.pop_front();
        Ok(value)
    }

    /// Puts text on top, as UTF-8.
    pub fn push_str(&mut self, text: impl Into<String>) -> &mut Self {
        self.push_bytes(text.into())
    }

    /// Adds text at the back, as UTF-8.
    pub fn append_str(&mut self, text: impl Into<String>) -> &mut Self {
        self.append_bytes(text.into())
    }

    /// Reads the top frame, the first one, as text and leaves it in the message.
    ///
    /// # Errors
    ///
    /// The message has no frame ([`Missing`](MessageError::Missing)), or the frame is not UTF-8
    /// ([`Utf8`](MessageError::Utf8)).
    pub fn peek_str(&self) -> Result<&str, MessageError> {
        let frame = self.top("text")?;
        str::from_utf8(frame).map_err(|source| MessageError::Utf8 { source })
    }

    /// Takes the top as text.
    ///
    /// # Errors
    ///
    /// The errors of [`peek_str`](Self::peek_str). The message stays unchanged.
    pub fn pop_string(&mut self) -> Result<String, MessageError> {
        let text = self.peek_str()?.to_owned();
        self.frames.pop_front();
        Ok(text)
    }

    /// Puts bytes on top, unchanged. A `Vec<u8>`, a `String` and a `Bytes` are not copied.
    pub fn push_bytes(&mut self, bytes: impl Into<Bytes>) -> &mut Self {
        self.frames.push_front(bytes.into());
        self
    }

    /// Adds bytes at the back, unchanged.
    pub fn append_bytes(&mut self, bytes: impl Into<Bytes>) -> &mut Self {
        self.frames.push_back(bytes.into());
        self
    }

    /// Returns the top frame and leaves it there.
    ///
    /// # Errors
    ///
    /// [`Missing`](MessageError::Missing): there is no frame.
    pub fn peek_bytes(&self) -> Result<&Bytes, MessageError> {
        self.top("bytes")
    }

    /// Takes the top frame.
    ///
    /// # Errors
    ///
    /// [`Missing`](MessageError::Missing): there is no frame.
    pub fn pop_bytes(&mut self) -> Result<Bytes, MessageError> {
        self.frames.pop_front().ok_or(MessageError::Missing { wanted: "bytes" })
    }

    /// Puts a record on top, as a protobuf message.
    ///
    /// ```
    /// use mdp_runtime::{MdpRecord, Message};
    ///
    /// #[derive(MdpRecord, Clone, Debug, PartialEq)]
    /// struct Reading {
    ///     #[mdp(1)]
    ///     celsius: f64,
    /// }
    ///
    /// let mut message = Message::new();
    /// message.push_record(&Reading { celsius: 21.5 });
    /// assert_eq!(message.pop_record::<Reading>()?, Reading { celsius: 21.5 });
    /// # Ok::<(), mdp_runtime::MessageError>(())
    /// ```
    pub fn push_record(&mut self, record: &impl TypedMessage) -> &mut Self {
        self.push_bytes(encoded(record))
    }

    /// Adds a record at the back, as a protobuf message.
    pub fn append_record(&mut self, record: &impl TypedMessage) -> &mut Self {
        self.append_bytes(encoded(record))
    }

    /// Reads the top as a record and leaves it there.
    ///
    /// # Errors
    ///
    /// [`Missing`](MessageError::Missing), or the frame is [not a record of this type](MessageError::TypedMessage).
    pub fn peek_record<T: TypedMessage>(&self) -> Result<T, MessageError> {
        let wanted = type_name::<T>();
        let frame = self.top(wanted)?.clone();
        T::decode_from(frame)
            .map_err(|source| MessageError::TypedMessage { wanted, source: Box::new(source) })
    }

    /// Takes the top as a record.
    ///
    /// # Errors
    ///
    /// The errors of [`peek_record`](Self::peek_record). The message stays unchanged.
    pub fn pop_record<T: TypedMessage>(&mut self) -> Result<T, MessageError> {
        let record = self.peek_record()?;
        self.frames.pop_front();
        Ok(record)
    }

    fn top(&self, wanted: &'static str) -> Result<&Bytes, MessageError> {
        self.frames.front().ok_or(MessageError::Missing { wanted })
    }
}

fn encoded(record: &impl TypedMessage) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(record.encoded_len());
    record.encode_to(&mut bytes);
    bytes
}

impl From<Vec<Bytes>> for Message {
    fn from(frames: Vec<Bytes>) -> Self {
        Message { frames: frames.into() }
    }
}

impl From<Message> for Vec<Bytes> {
    fn from(message: Message) -> Self {
        message.into_frames()
    }
}

impl FromIterator<Bytes> for Message {
    fn from_iter<I: IntoIterator<Item = Bytes>>(frames: I) -> Self {
        Message { frames: frames.into_iter().collect() }
    }
}
