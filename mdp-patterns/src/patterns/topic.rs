//! Topics: bytes that subscriptions match as prefixes.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

/// The maximum length of a topic to publish or to subscribe to, in bytes.
pub const MAX_TOPIC_BYTES: usize = 1_024;

/// The maximum number of bytes of a topic that an error shows.
const SHOWN: usize = 64;

/// The topic of a message: any bytes, usually text.
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
    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the topic as text, with `U+FFFD` for bytes that are not UTF-8.
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

/// Shows the whole topic, as [`to_str_lossy`](Topic::to_str_lossy) does.
impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_str_lossy())
    }
}

/// Shows at most the first 64 bytes, in quotes and escaped.
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
