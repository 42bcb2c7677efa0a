//! Carries a trace context in the metadata of a call.

use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::{Context, global};

use crate::metadata::Metadata;

/// Writes the context into the metadata, and replaces an existing context.
pub fn inject(context: &Context, metadata: &mut Metadata) {
    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(context, &mut Into(metadata));
    });
}

/// Reads the context from the metadata. Metadata without a context gives an empty one.
pub fn extract(metadata: &Metadata) -> Context {
    if metadata.is_empty() {
        return Context::new();
    }
    global::get_text_map_propagator(|propagator| {
        propagator.extract_with_context(&Context::new(), &From(metadata))
    })
}

struct Into<'a>(&'a mut Metadata);

impl Injector for Into<'_> {
    fn set(&mut self, key: &str, value: String) {
        // `insert` replaces an old trace context: a handler may pass on all metadata of its own call.
        self.0.insert(key, value);
    }
}

struct From<'a>(&'a Metadata);

impl Extractor for From<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get_str(key)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(key, _)| key).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let values = self.0.get_all(key).map(|value| std::str::from_utf8(value).ok());
        values.collect::<Option<Vec<_>>>().filter(|values| !values.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_value_when_it_was_set_and_all_that_it_came_with_else() {
        let mut metadata = Metadata::new();
        metadata.append("traceparent", "old");
        metadata.append("tenant", "acme");
        metadata.append("traceparent", "older");
        assert_eq!(From(&metadata).get_all("traceparent"), Some(vec!["old", "older"]));
        Into(&mut metadata).set("traceparent", "new".to_owned());
        assert_eq!(From(&metadata).get_all("traceparent"), Some(vec!["new"]));
        assert_eq!(From(&metadata).get("tenant"), Some("acme"));
        assert_eq!(From(&metadata).keys(), ["tenant", "traceparent"]);
        metadata.insert("bytes", vec![0xff]);
        assert_eq!(From(&metadata).get("bytes"), None);
        assert_eq!(From(&metadata).get_all("bytes"), None);
        assert_eq!(From(&metadata).get_all("none"), None);
    }
}
