//! What travels beside a message: keys with values, of the request and of the reply.

use bytes::Bytes;

/// Keys with values, in the order in which they were added; a key may have several.
///
/// ```
/// use mdp_runtime::Metadata;
/// let mut metadata = Metadata::new();
/// metadata.insert("tenant", "acme");
/// assert_eq!(metadata.get_str("tenant"), Some("acme"));
/// assert_eq!(metadata.get("trace"), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    entries: Vec<(String, Bytes)>,
}

impl Metadata {
    /// Without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value; those that the key has already stay.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Bytes>) {
        self.entries.push((key.into(), value.into()));
    }

    /// The first value of a key.
    pub fn get(&self, key: &str) -> Option<&Bytes> {
        self.get_all(key).next()
    }

    /// The first value of a key, if it is UTF-8.
    pub fn get_str(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All values of a key, in order.
    pub fn get_all(&self, key: &str) -> impl Iterator<Item = &Bytes> {
        self.entries.iter().filter(move |(found, _)| found == key).map(|(_, value)| value)
    }

    /// All entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

impl<K: Into<String>, V: Into<Bytes>> FromIterator<(K, V)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let entries = entries.into_iter().map(|(key, value)| (key.into(), value.into()));
        Metadata { entries: entries.collect() }
    }
}
