//! The text of a `.proto` file as protox can parse it.
//!
//! Each change keeps all lines in their places, so that errors name the right ones.

use super::text::{Edits, Token, Tokens, line};

/// A text that protox can parse.
#[derive(Debug)]
pub(super) struct Rewritten {
    pub(super) text: String,
    /// The edition that the file names, and the line where it does so.
    pub(super) edition: Option<(String, usize)>,
}

/// What stands for `default` in the options of fields of an edition: protox allows `default` in proto2 only.
pub(super) const DEFAULT: &str = "defaul_";

/// Rewrites a text.
pub(super) fn rewrite(text: &str) -> Rewritten {
    // Editors of Windows write it; protoc skips it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let is_edition = Tokens::of(text).next().is_some_and(|token| token.text == "edition");
    let may_need = ["extensions", "-inf", "-nan"].iter().any(|word| text.contains(word));
    if !is_edition && !may_need {
        return Rewritten { text: text.to_owned(), edition: None };
    }
    let tokens: Vec<_> = Tokens::of(text).collect();
    let mut rewriting = Rewriting { text, tokens: &tokens, edits: Edits::default() };
    let edition = if is_edition { rewriting.edition() } else { None };
    rewriting.statements(edition.is_some());
    Rewritten { text: rewriting.edits.apply(text), edition }
}

struct Rewriting<'t> {
    text: &'t str,
    tokens: &'t [Token<'t>],
    edits: Edits,
}

impl Rewriting<'_> {
    fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text)
    }

    /// `edition = "2023";` becomes `syntax = "proto3";`, the syntax that wants no labels.
    fn edition(&mut self) -> Option<(String, usize)> {
        let (first, value) = (*self.tokens.first()?, *self.tokens.get(2)?);
        let edition = value.unquoted().filter(|_| self.word(1) == "=")?;
        self.edits.replace(first.range(), "syntax");
        self.edits.replace(value.range(), "\"proto3\"");
        Some((edition, line(self.text, first.start)))
    }

    fn statements(&mut self, is_edition: bool) {
        let mut at = 0;
        let mut begins = true;
        while let Some(token) = self.tokens.get(at) {
            match token.text {
                "extensions" if begins => self.extensions(at + 1),
                "[" if is_edition => self.options(at),
                "-" => self.negative(at),
                _ if begins && is_edition => self.statement(at),
                _ => {}
            }
            begins = matches!(token.text, ";" | "{" | "}");
            at += 1;
        }
    }

    /// `-inf` and `-nan` as values of options: protox knows them without a sign only.
    fn negative(&mut self, at: usize) {
        let is_value = at > 0 && self.word(at - 1) == "=";
        let (Some(sign), Some(word)) = (self.tokens.get(at), self.tokens.get(at + 1)) else {
            return;
        };
        let range = sign.start..word.range().end;
        match word.text {
            // Too large for a number, so it is infinite.
            "inf" if is_value => self.edits.replace(range, "-1e999"),
            "nan" if is_value => self.edits.replace(range, " nan"),
            _ => {}
        }
    }

    /// The options of ranges of extensions have no effect on code: `verification` and `declaration`.
    fn extensions(&mut self, from: usize) {
        let end = (from..self.tokens.len()).find(|at| matches!(self.word(*at), "[" | ";"));
        let Some(open) = end.filter(|at| self.word(*at) == "[") else { return };
        let Some(close) = self.closing(open) else { return };
        if let (Some(first), Some(last)) = (self.tokens.get(open), self.tokens.get(close)) {
            self.edits.blank(first.start..last.range().end, self.text);
        }
    }

    /// The bracket that closes this one.
    fn closing(&self, open: usize) -> Option<usize> {
        let mut depth = 0_usize;
        (open..self.tokens.len()).find(|at| {
            match self.word(*at) {
                "[" | "{" => depth += 1,
                "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0
        })
    }

    /// The words that editions have in front of statements, and their names without quotes.
    fn statement(&mut self, at: usize) {
        let next = self.word(at + 1).to_owned();
        let Some(token) = self.tokens.get(at) else { return };
        match (token.text, next.as_str()) {
            ("export" | "local", "message" | "enum") => {
                self.edits.blank(token.range(), self.text);
            }
            ("import", "option") => {
                if let Some(option) = self.tokens.get(at + 1) {
                    self.edits.blank(option.range(), self.text);
                }
            }
            ("reserved", _) => {
                let names = self.tokens.iter().skip(at + 1).take_while(|token| token.text != ";");
                for name in names.filter(|token| token.is_name() && !is_range_word(token.text)) {
                    self.edits.replace(name.range(), format!("\"{}\"", name.text));
                }
            }
            _ => {}
        }
    }

    /// `default` among the options of a field.
    fn options(&mut self, open: usize) {
        let Some(close) = self.closing(open) else { return };
        let mut depth = 0_usize;
        for at in open..close {
            match self.word(at) {
                "[" | "{" => depth += 1,
                "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            let begins = matches!(self.word(at), "[" | ",") && depth == 1;
            if begins
                && self.word(at + 1) == "default"
                && self.word(at + 2) == "="
                && let Some(name) = self.tokens.get(at + 1)
            {
                self.edits.replace(name.range(), DEFAULT);
            }
        }
    }
}

/// `reserved 1 to max;`. A name that is one of these words is not told apart; it has quotes in older files.
fn is_range_word(word: &str) -> bool {
    matches!(word, "to" | "max")
}

#[cfg(test)]
mod tests {
    use super::rewrite;

    #[track_caller]
    fn becomes(text: &str, expected: &str) {
        assert_eq!(rewrite(text).text, expected);
    }

    #[test]
    fn a_byte_order_mark_goes() {
        becomes("\u{feff}syntax = \"proto3\";", "syntax = \"proto3\";");
    }

    #[test]
    fn options_of_ranges_go_and_lines_stay() {
        becomes(
            "message A { extensions 1, 4 to max [verification = UNVERIFIED,\n declaration = {number: 4}]; int32 x = 2 [a = 1]; }",
            &format!(
                "message A {{ extensions 1, 4 to max {}\n{}; int32 x = 2 [a = 1]; }}",
                " ".repeat(27),
                " ".repeat(27)
            ),
        );
        becomes(
            "message A { int32 extensions = 2 [b = 1]; }",
            "message A { int32 extensions = 2 [b = 1]; }",
        );
    }

    #[test]
    fn infinities_have_signs() {
        becomes(
            "a = 1 [default = -inf, (b) = - nan, (c) = -1];",
            "a = 1 [default = -1e999, (b) =  nan, (c) = -1];",
        );
    }

    #[test]
    fn editions_become_a_syntax() {
        let rewritten = rewrite("// c\nedition = '2024';\nexport message A {}\nlocal enum B {}");
        assert_eq!(rewritten.edition, Some(("2024".to_owned(), 2)));
        assert_eq!(
            rewritten.text,
            "// c\nsyntax = \"proto3\";\n       message A {}\n      enum B {}"
        );
        becomes(
            "edition=\"2023\"; import option \"a.proto\"; message M { reserved a, b; reserved 1 to max; }",
            "syntax=\"proto3\"; import        \"a.proto\"; message M { reserved \"a\", \"b\"; reserved 1 to max; }",
        );
        becomes(
            "edition=\"2023\"; message M { int32 default = 1 [default = 2, (o) = { default: 1 }, default=3]; }",
            "syntax=\"proto3\"; message M { int32 default = 1 [defaul_ = 2, (o) = { default: 1 }, defaul_=3]; }",
        );
        becomes(
            "syntax = \"proto2\"; message edition {}",
            "syntax = \"proto2\"; message edition {}",
        );
        assert_eq!(rewrite("edition").edition, None);
    }
}
