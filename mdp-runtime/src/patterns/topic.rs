//! Topics: bytes that subscriptions are compared with from the left.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

/// The bytes that a topic to publish, or to subscribe to, may have at most.
pub const MOST_TOPIC_BYTES: usize = 1_024;

/// What is shown of a topic in an error.
const SHOWN: usize = 64;

/// The topic of a message: any bytes, mostly text.
///
/// ```
/// use mdp_runtime::patterns::Topic;
///
/// let topic = Topic::from("weather.paris");
/// assert_eq!(topic, "weather.paris");
/// assert!(topic.as_bytes().starts_with(b"weather."));
/// assert_eq!(topic.to_string(), "weather.paris");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Bytes);

impl Topic {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As a text, with `U+FFFD` for what is not UTF-8.
    pub fn to_str_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl From<Bytes> for Topic {
    fn from(bytes: Bytes) -> Self {
        Topic(bytes)
    }
}

impl From<&str> for Topic {
    fn from(text: &str) -> Self {
        Topic(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl AsRef<[u8]> for Topic {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq<str> for Topic {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Topic {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

/// As [`to_str_lossy`](Topic::to_str_lossy), as long as it is.
impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_str_lossy())
    }
}

/// In quotes, escaped, at most its first 64 bytes.
impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.get(..SHOWN).unwrap_or(&self.0);
        let rest = if shown.len() < self.0.len() { "…" } else { "" };
        write!(f, "\"{}\"{rest}", shown.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_short() {
        assert_eq!(format!("{:?}", Topic::from("a\n")), "\"a\\n\"");
        let long = Topic::from(Bytes::from(vec![255; 100_000]));
        assert!(format!("{long:?}").len() < 4 * SHOWN + 10);
    }
}
