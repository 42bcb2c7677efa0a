//! Which events somebody wants to see.

use crate::pb::{self, Event, Field, Level};

/// The longest target and the longest text of a filter, in bytes.
const LONGEST: usize = 1_000;

/// A filter, ready to be used on many events.
///
/// ```
/// use example_cloud_logger::filter::Filter;
/// use example_cloud_logger::pb::{self, Event, Level};
///
/// let filter = pb::Filter { level: Level::Info.into(), target: "shop".into(), text: "PAID".into() };
/// let filter = Filter::new(filter)?;
/// let event = Event {
///     level: Level::Warn.into(),
///     target: "shop::cart".into(),
///     message: "not paid yet".into(),
///     ..Event::default()
/// };
/// assert!(filter.matches(&event));
/// assert!(!filter.matches(&Event { target: "shopping".into(), ..event.clone() }));
/// assert!(!filter.matches(&Event { level: Level::Debug.into(), ..event }));
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug)]
pub struct Filter {
    /// As its number: 0 for all.
    level: i32,
    target: String,
    /// In lower case.
    text: String,
}

impl Filter {
    /// Checks what a caller wants.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn new(filter: pb::Filter) -> Result<Self, &'static str> {
        if Level::try_from(filter.level).is_err() {
            return Err("the filter's level is none of TRACE, DEBUG, INFO, WARN and ERROR");
        }
        if filter.target.len() > LONGEST || filter.text.len() > LONGEST {
            return Err("the filter's target and its text may have up to 1,000 bytes");
        }
        Ok(Filter { level: filter.level, target: filter.target, text: filter.text.to_lowercase() })
    }

    /// The lowest level that it lets through, as its number.
    pub fn level(&self) -> i32 {
        self.level
    }

    /// Whether an event is wanted.
    pub fn matches(&self, event: &Event) -> bool {
        event.level >= self.level && self.is_within(&event.target) && self.has_text(event)
    }

    fn is_within(&self, target: &str) -> bool {
        let Some(rest) = target.strip_prefix(self.target.as_str()) else { return false };
        self.target.is_empty() || rest.is_empty() || rest.starts_with("::")
    }

    fn has_text(&self, event: &Event) -> bool {
        let has = |text: &str| text.to_lowercase().contains(&self.text);
        let one = |field: &Field| has(&format!("{}={}", field.name, field.value));
        self.text.is_empty()
            || has(&event.message)
            || event.fields.iter().any(one)
            || event.spans.iter().any(|span| has(&span.name) || span.fields.iter().any(one))
    }
}

/// A level by its name in upper or lower case; without a name, all.
///
/// # Errors
///
/// It is none.
pub fn level(name: &str) -> Result<Level, String> {
    match name.to_ascii_lowercase().as_str() {
        "" => Ok(Level::Unspecified),
        "trace" => Ok(Level::Trace),
        "debug" => Ok(Level::Debug),
        "info" => Ok(Level::Info),
        "warn" => Ok(Level::Warn),
        "error" => Ok(Level::Error),
        _ => Err("a level is one of trace, debug, info, warn and error".to_owned()),
    }
}

/// The name of a level.
pub fn level_name(level: Level) -> &'static str {
    match level {
        Level::Unspecified => "-",
        Level::Trace => "TRACE",
        Level::Debug => "DEBUG",
        Level::Info => "INFO",
        Level::Warn => "WARN",
        Level::Error => "ERROR",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(level: Level, target: &str, text: &str) -> Filter {
        let filter = pb::Filter { level: level.into(), target: target.into(), text: text.into() };
        Filter::new(filter).unwrap()
    }

    fn event() -> Event {
        let field = |name: &str, value: &str| Field { name: name.into(), value: value.into() };
        Event {
            level: Level::Info.into(),
            target: "shop::cart".into(),
            message: "Größe unbekannt".into(),
            fields: vec![field("size", "XXL")],
            spans: vec![pb::Span { name: "request".into(), fields: vec![field("path", "/Buy")] }],
            ..Event::default()
        }
    }

    #[test]
    fn levels_and_targets() {
        for (level, passes) in
            [(Level::Unspecified, true), (Level::Info, true), (Level::Warn, false)]
        {
            assert_eq!(filter(level, "", "").matches(&event()), passes, "{level:?}");
        }
        for (target, passes) in [
            ("shop", true),
            ("shop::cart", true),
            ("shop::car", false),
            ("cart", false),
            ("shop::cart::x", false),
        ] {
            assert_eq!(filter(Level::Trace, target, "").matches(&event()), passes, "{target}");
        }
    }

    #[test]
    fn text_is_looked_for_everywhere_and_in_either_case() {
        for text in ["GRÖSSE", "größe", "xxl", "SIZE", "Request", "/buy", "path", "size=xx"] {
            assert_eq!(
                filter(Level::Trace, "", text).matches(&event()),
                text != "GRÖSSE",
                "{text}"
            );
        }
        assert!(
            !filter(Level::Trace, "", "cart").matches(&event()),
            "the target has a filter of its own"
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(Filter::new(pb::Filter { level: 6, ..Default::default() }).is_err());
        assert!(Filter::new(pb::Filter { text: "x".repeat(1_001), ..Default::default() }).is_err());
        assert!(level("loud").is_err());
        assert_eq!(level("Warn"), Ok(Level::Warn));
    }
}
