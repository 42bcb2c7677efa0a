//! The mistakes that protox and prost-reflect find, as problems.

use miette::{Diagnostic, LabeledSpan, SourceCode};

use super::super::options;
use crate::errors::{Mistake, Problem};
use crate::model::Place;

/// A mistake in a file.
pub(in crate::proto) fn problem_at(file: &str, line: Option<usize>, message: String) -> Problem {
    Problem {
        place: Some(Place { line, ..Place::new(file) }),
        ..Problem::of_setting(Mistake::Proto { message })
    }
}

/// All mistakes of an error about a file.
pub(super) fn of(error: &dyn Diagnostic, file: &str) -> Vec<Problem> {
    let related = error.related().into_iter().flatten();
    std::iter::once(error)
        .chain(related)
        .map(|diagnostic| problem_at(file, place(diagnostic, error), message(diagnostic)))
        .collect()
}

/// The line of the first label. A related diagnostic uses the source of the main one.
fn place(diagnostic: &dyn Diagnostic, main: &dyn Diagnostic) -> Option<usize> {
    line(diagnostic, diagnostic.source_code()).or_else(|| line(diagnostic, main.source_code()))
}

fn line(diagnostic: &dyn Diagnostic, source: Option<&dyn SourceCode>) -> Option<usize> {
    line_of(&diagnostic.labels()?.next()?, source?)
}

fn line_of(label: &LabeledSpan, source: &dyn SourceCode) -> Option<usize> {
    Some(source.read_span(label.inner(), 0, 0).ok()?.line() + 1)
}

/// The text for the other places of a mistake: ``and again here (line 7)``.
fn other_places(diagnostic: &dyn Diagnostic) -> Vec<String> {
    let labels = diagnostic.labels().into_iter().flatten().skip(1);
    labels
        .filter_map(|label| {
            let line = line_of(&label, diagnostic.source_code()?)?;
            let text = label.label().unwrap_or("here").trim_start_matches('…');
            Some(format!("{text} (line {line})"))
        })
        .collect()
}

fn message(diagnostic: &dyn Diagnostic) -> String {
    let mut message = diagnostic.to_string();
    let mut cause = std::error::Error::source(diagnostic);
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    // What is wrong within an option's value: the name of a field, for instance.
    let mut within = diagnostic.diagnostic_source();
    while let Some(error) = within {
        let text = error.to_string();
        message.push_str(": ");
        message.push_str(&text);
        message.push_str(&options::hint(&text));
        within = error.diagnostic_source();
    }
    for place in other_places(diagnostic) {
        message.push_str(", ");
        message.push_str(&place);
    }
    if let Some(help) = diagnostic.help() {
        message.push_str("; ");
        message.push_str(&help.to_string());
    }
    message
}
