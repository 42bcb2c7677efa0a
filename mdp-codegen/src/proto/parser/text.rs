//! The tokens of a `.proto` text, and edits that keep its lines.

use std::ops::Range;

/// A name, a number, a quoted string or one sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub(super) text: &'t str,
    /// The place of its first byte.
    pub(super) start: usize,
}

impl Token<'_> {
    pub(super) fn range(self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    pub(super) fn is_name(self) -> bool {
        self.text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
    }

    /// The text between the quotes. `None`: it is no string.
    pub(super) fn unquoted(self) -> Option<String> {
        let mark = self.text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        Some(self.text.trim_matches(mark).to_owned())
    }
}

/// The tokens, without comments. Characters that no token begins with are left to the parser, which names them.
pub(super) struct Tokens<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Tokens<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Skips white space and comments.
    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            let comment = if trimmed.starts_with("//") {
                trimmed.find('\n').unwrap_or(trimmed.len())
            } else if trimmed.starts_with("/*") {
                trimmed.find("*/").map_or(trimmed.len(), |end| end + 2)
            } else {
                return;
            };
            self.at += comment;
        }
    }
}

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        self.skip();
        let rest = self.rest();
        let first = rest.chars().next()?;
        let length = match first {
            '"' | '\'' => string(rest, first),
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let token = Token { text: rest.get(..length)?, start: self.at };
        self.at += length;
        Some(token)
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The length of a string with its quotes. One that is not closed ends with its line.
fn string(text: &str, mark: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\n' => return at,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == mark => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Changes of a text, in the order of their places.
#[derive(Default)]
pub(super) struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    pub(super) fn replace(&mut self, range: Range<usize>, by: impl Into<String>) {
        self.0.push((range, by.into()));
    }

    /// Puts spaces in the place of all but the ends of lines.
    pub(super) fn blank(&mut self, range: Range<usize>, text: &str) {
        let old = text.get(range.clone()).unwrap_or_default();
        let blank = old.chars().flat_map(|c| {
            let (c, times) = if c == '\n' { (c, 1) } else { (' ', c.len_utf8()) };
            std::iter::repeat_n(c, times)
        });
        let blank = blank.collect::<String>();
        self.replace(range, blank);
    }

    pub(super) fn apply(mut self, text: &str) -> String {
        self.0.sort_by_key(|(range, _)| range.start);
        let mut out = String::with_capacity(text.len() + 64);
        let mut from = 0;
        for (range, by) in &self.0 {
            out.push_str(text.get(from..range.start).unwrap_or_default());
            out.push_str(by);
            from = range.end;
        }
        out.push_str(text.get(from..).unwrap_or_default());
        out
    }
}

/// The number of the line with this byte, from 1.
pub(super) fn line(text: &str, at: usize) -> usize {
    text.get(..at).map_or(1, |before| before.matches('\n').count() + 1)
}

/// The line where more than `max` brackets are open.
pub(super) fn too_deep(text: &str, max: usize) -> Option<usize> {
    // Those in strings and comments count here, so this only says where to look.
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'{' | b'[' | b'<' => depth += 1,
            b'}' | b']' | b'>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    if deepest <= max {
        return None;
    }
    let mut depth = 0_usize;
    let token = Tokens::of(text).find(|token| {
        match token.text {
            "{" | "[" | "<" => depth += 1,
            "}" | "]" | ">" => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > max
    });
    token.map(|token| line(text, token.start))
}

#[cfg(test)]
mod tests {
    use super::{Edits, Tokens, line, too_deep};

    #[test]
    fn brackets_are_counted_outside_of_strings() {
        assert_eq!(too_deep("{\n{ \"{\" }", 2), None);
        assert_eq!(too_deep("{\n{ \"{\" \n{ }", 2), Some(3));
    }

    #[test]
    fn tokens_are_told_from_comments_and_strings() {
        let text = "a.b /* \"x */ = 'it\\'s' // c ;\n0x1F[-1];\"open\nz";
        let tokens: Vec<_> = Tokens::of(text).map(|token| token.text).collect();
        assert_eq!(
            tokens,
            ["a", ".", "b", "=", "'it\\'s'", "0x1F", "[", "-", "1", "]", ";", "\"open", "z"]
        );
        assert_eq!(Tokens::of("/* never closed").count(), 0);
        assert_eq!(Tokens::of("a é b").count(), 3);
    }

    #[test]
    fn edits_keep_lines() {
        let text = "one [a\n= é] two";
        let mut edits = Edits::default();
        edits.replace(13..16, "2");
        edits.blank(4..12, text);
        assert_eq!(edits.apply(text), "one   \n      2");
        assert_eq!((line(text, 0), line(text, 8)), (1, 2));
    }
}
