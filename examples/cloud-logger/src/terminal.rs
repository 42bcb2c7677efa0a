//! Records as lines of a terminal.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use crate::escape::escape;
use crate::filter::level_name;
use crate::pb::{Event, Field, Level, Record};

/// The last second that humantime can write, that of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

/// A record as one line, without its end: time, level, source, target, message, fields, and the spans in braces. Whatever it
/// says, it is one line and steers no terminal.
///
/// ```
/// use example_cloud_logger::pb::{Event, Field, Level, Record, Source};
/// use example_cloud_logger::terminal::line;
///
/// let event = Event {
///     time: 1_700_000_000_123_456,
///     level: Level::Info.into(),
///     target: "shop".into(),
///     message: "placed".into(),
///     fields: vec![Field { name: "order".into(), value: "7".into() }],
///     ..Event::default()
/// };
/// let source = Source { id: "x".into(), name: "orders".into(), process: 42 };
/// let record = Record { source: Some(source), event: Some(event), ..Record::default() };
/// assert_eq!(line(&record, false), "2023-11-14T22:13:20.123456Z  INFO orders[42] shop: placed order=7");
/// ```
pub fn line(record: &Record, colours: bool) -> String {
    let event = record.event.clone().unwrap_or_default();
    let source = record.source.clone().unwrap_or_default();
    let level = level_name(event.level());
    let (on, off) = if colours { (colour(&event), "\x1b[0m") } else { ("", "") };
    let mut line = format!(
        "{} {on}{level:>5}{off} {}[{}] {}: {}",
        time(event.time),
        escape(&source.name),
        source.process,
        escape(&event.target),
        escape(&event.message),
    );
    put_fields(&mut line, &event.fields);
    for span in &event.spans {
        // Writing into a string cannot fail, here and below.
        let _ = write!(line, " {{{}", escape(&span.name));
        put_fields(&mut line, &span.fields);
        line.push('}');
    }
    line
}

/// Microseconds since 1970 as RFC 3339 has it, in UTC.
pub fn time(micros: u64) -> String {
    let since = Duration::from_micros(micros).min(Duration::from_secs(LAST_SECOND));
    humantime::format_rfc3339_micros(UNIX_EPOCH + since).to_string()
}

fn put_fields(line: &mut String, fields: &[Field]) {
    for field in fields {
        let _ = write!(line, " {}={}", escape(&field.name), escape(&field.value));
    }
}

fn colour(event: &Event) -> &'static str {
    match event.level() {
        Level::Error => "\x1b[31m",
        Level::Warn => "\x1b[33m",
        Level::Info => "\x1b[32m",
        Level::Unspecified | Level::Debug | Level::Trace => "\x1b[2m",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{Source, Span};

    #[test]
    fn a_hostile_record_is_one_line_and_steers_nothing() {
        let bad = "\x1b]0;title\x07\r\n2023 ERROR forged";
        let field = Field { name: bad.into(), value: bad.into() };
        let event = Event {
            time: u64::MAX,
            level: 77,
            target: bad.into(),
            message: bad.into(),
            fields: vec![field.clone()],
            spans: vec![Span { name: bad.into(), fields: vec![field] }],
            dropped: 0,
        };
        let source = Source { id: bad.into(), name: bad.into(), process: 1 };
        let record = Record { source: Some(source), event: Some(event), ..Record::default() };
        let line = line(&record, false);
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(line.starts_with("9999-12-31T23:59:59"), "{line}");
    }
}
