//! Metadata: keys with values that travel with a request or a reply.

use bytes::Bytes;
use mdp_protocol::wire::{KeyError, check_key};

/// Keys with values, in the order in which they were added. A key may have several values.
///
/// A key is 1 to 255 bytes of lower-case ASCII letters, digits, `-`, `_` and `.` (wire.md R102). Upper-case ASCII
/// letters are converted to lower case when a key is added, and lookups ignore the case of ASCII letters. Any other key
/// is stored but cannot be sent: a call with such a key ends with INVALID_ARGUMENT before it is sent, and a handler's
/// reply with such a key becomes INTERNAL. Both messages name the key.
///
/// The other side controls the metadata that it sends. Put facts that an interceptor of this process has verified into
/// [`Extensions`](crate::Extensions), or set them with [`insert`](Self::insert), which removes all values that the peer
/// sent.
///
/// ```
/// use mdp_runtime::Metadata;
/// let mut metadata = Metadata::new();
/// metadata.append("tenant", "acme");
/// metadata.append("tenant", "globex");
/// assert_eq!(metadata.get_str("Tenant"), Some("acme"));
/// assert_eq!(metadata.insert("tenant", "initech"), Some("acme".into()));
/// assert_eq!(metadata.remove("tenant"), ["initech"]);
/// assert_eq!(metadata.get("tenant"), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The keys have no upper-case ASCII letters.
    entries: Vec<(String, Bytes)>,
}

impl Metadata {
    /// Makes metadata without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces all values of a key with one value. Returns the first of the old values.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Bytes>) -> Option<Bytes> {
        let key = key.into();
        let before = self.remove(&key).into_iter().next();
        self.append(key, value);
        before
    }

    /// Adds a value after the existing values of the key.
    pub fn append(&mut self, key: impl Into<String>, value: impl Into<Bytes>) {
        let mut key = key.into();
        key.make_ascii_lowercase();
        self.entries.push((key, value.into()));
    }

    /// Removes all values of a key, and returns them in order.
    pub fn remove(&mut self, key: &str) -> Vec<Bytes> {
        let mut removed = Vec::new();
        self.entries.retain_mut(|(found, value)| {
            let stays = !found.eq_ignore_ascii_case(key);
            if !stays {
                removed.push(std::mem::take(value));
            }
            stays
        });
        removed
    }

    /// Returns the first value of a key.
    pub fn get(&self, key: &str) -> Option<&Bytes> {
        self.get_all(key).next()
    }

    /// Returns the first value of a key, if that value is UTF-8.
    pub fn get_str(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Returns all values of a key, in order.
    pub fn get_all(&self, key: &str) -> impl Iterator<Item = &Bytes> {
        let entries = self.entries.iter();
        entries.filter(move |(found, _)| found.eq_ignore_ascii_case(key)).map(|(_, value)| value)
    }

    /// Returns all entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Checks that all keys can be sent.
    #[doc(hidden)]
    #[inline]
    pub fn check(&self) -> Result<(), BadKey> {
        self.entries.iter().try_for_each(|(key, _)| {
            check_key(key.as_bytes()).map(|_| ()).map_err(|error| BadKey::new(key, error))
        })
    }
}

/// Collects entries; a key that occurs twice has two values.
impl<K: Into<String>, V: Into<Bytes>> FromIterator<(K, V)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut metadata = Metadata::new();
        entries.into_iter().for_each(|(key, value)| metadata.append(key, value));
        metadata
    }
}

/// A key that cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the metadata key `{key}` is invalid: {error}")]
pub struct BadKey {
    /// The beginning of the key, escaped.
    key: String,
    error: KeyError,
}

impl BadKey {
    /// The maximum number of characters of a key in a message.
    const SHOWN: usize = 64;

    fn new(key: &str, error: KeyError) -> Self {
        BadKey { key: key.escape_debug().take(Self::SHOWN).collect(), error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insert_replaces_append_adds_and_remove_takes_all() {
        let mut metadata = Metadata::from_iter([("user", "root"), ("a", "1"), ("User", "admin")]);
        assert_eq!(metadata.get_all("user").collect::<Vec<_>>(), ["root", "admin"]);
        assert_eq!(metadata.insert("USER", "ann"), Some("root".into()));
        assert_eq!(metadata.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["a", "user"]);
        assert_eq!(metadata.get_str("user"), Some("ann"));
        assert_eq!(metadata.insert("b", "2"), None);
        metadata.append("b", vec![0xff]);
        assert_eq!((metadata.get_all("b").count(), metadata.len()), (2, 4));
        assert_eq!(metadata.remove("b"), [Bytes::from("2"), Bytes::from(vec![0xff])]);
        assert_eq!((metadata.remove("b").len(), metadata.len()), (0, 2));
    }

    #[test]
    fn a_bad_key_is_named() {
        assert_eq!(Metadata::from_iter([("X-User", ""), ("a.b_c-1", "")]).check(), Ok(()));
        let bad = |key: &str| Metadata::from_iter([("good", ""), (key, "")]).check().unwrap_err();
        let said = bad("Bad Key\n").to_string();
        assert!(said.starts_with("the metadata key `bad key\\n` is invalid: byte 3"), "{said}");
        assert!(bad("").to_string().contains("it is empty"));
        assert!(bad(&"ä".repeat(9_999)).to_string().len() < 300);
    }
}
