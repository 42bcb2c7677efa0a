//! Makes comments of `.proto` files safe as Rust documentation.
//!
//! rustdoc reads Markdown. It would run indented code as a Rust test, look for an item for each pair of brackets, and
//! take `List<T>` for HTML. This pass keeps paragraphs, lists, emphasis, inline code, fenced code and links to the web,
//! and escapes everything else. It works on the descriptors, so the messages, whose documentation `prost-build` writes,
//! are safe, too.

use prost_types::FileDescriptorSet;
use prost_types::source_code_info::Location;

use crate::proto::parts::FILE_SERVICES;

/// Makes all comments of all files safe.
pub(super) fn defuse(set: &mut FileDescriptorSet) {
    let infos = set.file.iter_mut().filter_map(|file| file.source_code_info.as_mut());
    for location in infos.flat_map(|info| &mut info.location) {
        // prost-build makes links of addresses itself, but only in the code that it writes.
        let links = match location.path.first() {
            Some(&FILE_SERVICES) => Links::Make,
            _ => Links::Leave,
        };
        defuse_location(location, links);
    }
}

fn defuse_location(location: &mut Location, links: Links) {
    let both = [&mut location.leading_comments, &mut location.trailing_comments];
    for comment in both.into_iter().flatten() {
        *comment = defuse_comment(comment, links);
    }
    for comment in &mut location.leading_detached_comments {
        *comment = defuse_comment(comment, links);
    }
}

/// What happens to a bare address: rustdoc requires angle brackets around it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    Make,
    Leave,
}

fn defuse_comment(comment: &str, links: Links) -> String {
    let mut text = Text::new(links, fence_longer_than_any_in(comment));
    for line in &without_margin(comment) {
        text.take(line);
    }
    text.finish()
}

/// The effect of the previous lines on the next one.
enum State {
    /// An indented line would start a block of code.
    Break,
    /// An indented line continues the paragraph.
    Paragraph,
    /// Inside a fenced block, until a line that begins with this fence.
    Fenced(String),
    /// Inside an indented block, around which this pass has put a fence.
    Indented,
}

struct Text {
    links: Links,
    /// The fence for indented code: longer than any fence in the comment.
    fence: String,
    state: State,
    lines: Vec<String>,
}

impl Text {
    fn new(links: Links, fence: String) -> Self {
        Self { links, fence, state: State::Break, lines: Vec::new() }
    }

    fn take(&mut self, line: &str) {
        match &self.state {
            State::Fenced(fence) => {
                let closes = line.trim_start().starts_with(fence.as_str());
                self.lines.push(if closes { fence.clone() } else { line.to_owned() });
                if closes {
                    self.state = State::Break;
                }
            }
            State::Indented if line.is_empty() || code(line).is_some() => {
                self.lines.push(code(line).unwrap_or_default().to_owned());
            }
            State::Indented => {
                self.close();
                self.outside(line);
            }
            State::Break | State::Paragraph => self.outside(line),
        }
    }

    fn outside(&mut self, line: &str) {
        let (mark, rest) = item_start(line);
        if let Some(fence) = opening_fence(rest) {
            // The block leaves its list item, because inside the item its end would depend on the margin.
            if !mark.trim().is_empty() {
                self.lines.push(mark.trim_end().to_owned());
            }
            // Without a language, rustdoc would run the block as Rust.
            self.lines.push(format!("{fence}text"));
            self.state = State::Fenced(fence);
        } else if let (State::Break, Some(code)) = (&self.state, code(line)) {
            self.lines.push(format!("{}text", self.fence));
            self.lines.push(code.to_owned());
            self.state = State::Indented;
        } else {
            self.lines.push(defuse_line(line, self.links));
            self.state = if breaks(line) { State::Break } else { State::Paragraph };
        }
    }

    /// Ends an open block, before the blank lines at its end.
    fn close(&mut self) {
        let fence = match std::mem::replace(&mut self.state, State::Break) {
            State::Indented => self.fence.clone(),
            State::Fenced(fence) => fence,
            State::Break | State::Paragraph => return,
        };
        let used = self.lines.iter().rposition(|line| !line.is_empty());
        self.lines.insert(used.map_or(0, |last| last + 1), fence);
    }

    fn finish(mut self) -> String {
        self.close();
        self.lines.join("\n")
    }
}

/// The lines without their common indentation, and without characters that Rust source must not have.
fn without_margin(comment: &str) -> Vec<String> {
    let lines: Vec<String> = comment.lines().map(printable).collect();
    let margin =
        lines.iter().filter(|line| !line.is_empty()).map(|line| indent(line)).min().unwrap_or(0);
    let lines = lines.iter().map(|line| line.get(margin..).unwrap_or_default().to_owned());
    lines.collect()
}

/// Removes the characters that rustc refuses in documentation: bare carriage returns, and marks that change the
/// direction of the text.
fn printable(line: &str) -> String {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let line: String = line
        .replace('\t', "    ")
        .chars()
        .filter(|&c| !turns(c))
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    line.trim_end().to_owned()
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// The code in a line, if the line is indented far enough.
fn code(line: &str) -> Option<&str> {
    line.strip_prefix("    ").filter(|code| !code.trim().is_empty())
}

fn fence_longer_than_any_in(comment: &str) -> String {
    let longest = comment.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

/// The fence with which a line opens a block.
fn opening_fence(line: &str) -> Option<String> {
    let mark = line.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
    let rest = line.trim_start_matches(mark);
    let length = line.len() - rest.len();
    // Backticks that follow backticks on the same line are inline code.
    let inline = mark == '`' && rest.contains('`');
    (length >= 3 && !inline).then(|| mark.to_string().repeat(length))
}

/// Whether a line ends its paragraph: blank, a heading, a ruler, or an item without text.
fn breaks(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('#') || line.chars().all(|c| "-=*_+. ".contains(c) || c.is_ascii_digit())
}

fn defuse_line(line: &str, links: Links) -> String {
    let (start, rest) = item_start(line);
    let mut out = start;
    inline(rest, links, &mut out);
    out
}

/// The margin and the mark of a list item, and the text after it. One space separates them, because more than four
/// would make the text a block of code.
fn item_start(line: &str) -> (String, &str) {
    let text = line.trim_start();
    let (margin, _) = line.split_at(line.len() - text.len());
    let after = match text.trim_start_matches(|c: char| c.is_ascii_digit()) {
        digits if digits.len() < text.len() => digits.strip_prefix(['.', ')']),
        _ => text.strip_prefix(['-', '+', '*']),
    };
    match after.filter(|after| after.starts_with(' ')) {
        Some(after) => {
            let (mark, _) = text.split_at(text.len() - after.len());
            (format!("{margin}{mark} "), after.trim_start())
        }
        None => (margin.to_owned(), text),
    }
}

/// Escapes text that rustdoc would misread, except for inline code, addresses and links to addresses.
fn inline(mut rest: &str, links: Links, out: &mut String) {
    while let Some(c) = rest.chars().next() {
        let used = match c {
            '\\' => escaped(rest, out),
            '`' => ticks(rest, out),
            '~' => tildes(rest, out),
            '<' => angle(rest, links, out),
            '[' => bracket(rest, out),
            'h' => address(rest, links, out),
            ']' | '>' => {
                out.push('\\');
                None
            }
            _ => None,
        };
        let used = used.unwrap_or_else(|| {
            out.push(c);
            c.len_utf8()
        });
        rest = rest.get(used..).unwrap_or_default();
    }
}

/// Copies an escaped character unchanged.
fn escaped(rest: &str, out: &mut String) -> Option<usize> {
    let next = rest.chars().nth(1).filter(char::is_ascii_punctuation)?;
    out.push('\\');
    out.push(next);
    Some(2)
}

/// Copies inline code, if it ends on the same line.
fn ticks(rest: &str, out: &mut String) -> Option<usize> {
    let after = rest.trim_start_matches('`');
    let length = rest.len() - after.len();
    let (fence, _) = rest.split_at(length);
    match closing(after, length) {
        Some(end) => {
            let (span, _) = rest.split_at(length + end + length);
            out.push_str(span);
            Some(span.len())
        }
        None => {
            out.push_str(&fence.replace('`', "\\`"));
            Some(length)
        }
    }
}

/// The position of the first run of exactly `length` backticks.
fn closing(text: &str, length: usize) -> Option<usize> {
    let mut from = 0;
    while let Some(start) = text.get(from..)?.find('`') {
        let start = from + start;
        let run = text.get(start..)?;
        let found = run.len() - run.trim_start_matches('`').len();
        if found == length {
            return Some(start);
        }
        from = start + found;
    }
    None
}

/// Escapes tildes: three of them could start a block of code inside an item.
fn tildes(rest: &str, out: &mut String) -> Option<usize> {
    let length = rest.len() - rest.trim_start_matches('~').len();
    let mark = if length < 3 { "~" } else { "\\~" };
    out.push_str(&mark.repeat(length));
    Some(length)
}

/// Keeps `<https://..>` as an address. Everything else would be HTML.
fn angle(rest: &str, links: Links, out: &mut String) -> Option<usize> {
    if let Some((address, _)) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'))
        && is_address(address)
        && !address.contains(char::is_whitespace)
    {
        push_address(address, links, out);
        return Some(address.len() + 2);
    }
    out.push('\\');
    None
}

/// Keeps `[text](https://..)` as a link. Everything else would be the name of an item.
fn bracket(rest: &str, out: &mut String) -> Option<usize> {
    if let Some((text, target)) = rest.strip_prefix('[').and_then(|rest| rest.split_once("]("))
        && !text.contains(['[', ']', '<', '>', '`', '\\'])
        && let Some((target, _)) = target.split_once(')')
        && is_address(target)
        && !target.contains(|c: char| c.is_whitespace() || "<>[]`\\(".contains(c))
    {
        out.push_str(&format!("[{text}]({target})"));
        return Some(text.len() + target.len() + 4);
    }
    out.push('\\');
    None
}

fn address(rest: &str, links: Links, out: &mut String) -> Option<usize> {
    if !is_address(rest) {
        return None;
    }
    let end = rest.find(|c: char| c.is_whitespace() || "()<>[]`\"\\".contains(c));
    let address = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
    // A full stop ends the sentence, not the address.
    let address = address.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'']);
    push_address(address, links, out);
    let next = rest.get(address.len()..).and_then(|rest| rest.chars().next());
    if links == Links::Leave && next.is_some_and(|next| "(<>[]`\"\\".contains(next)) {
        // prost-build ends an address only at a space or `)`, and would include escapes in it.
        out.push(' ');
    }
    Some(address.len())
}

fn push_address(address: &str, links: Links, out: &mut String) {
    match links {
        Links::Make => out.push_str(&format!("<{address}>")),
        Links::Leave => out.push_str(address),
    }
}

fn is_address(text: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| {
        text.strip_prefix(scheme).is_some_and(|host| host.starts_with(char::is_alphanumeric))
    })
}

#[cfg(test)]
mod tests {
    use super::{Links, defuse_comment};

    #[track_caller]
    fn becomes(comment: &str, links: Links, expected: &str) {
        assert_eq!(defuse_comment(comment, links), expected, "from {comment:?}");
    }

    #[test]
    fn what_is_harmless_stays() {
        for text in [
            "Text with *emphasis*, _emphasis_, `code<T>` and ``a`b``.",
            "# A heading",
            "- an item\n  that goes on\n- another",
            "1. an item\n\n   a second paragraph",
            "[a link](https://example.org/a_b)",
            "\\[escaped already\\]",
            "a paragraph\n    that goes on with a margin",
            "~~struck~~",
        ] {
            becomes(text, Links::Make, text);
        }
    }

    #[test]
    fn code_is_marked_as_text() {
        becomes("a\n\n    b\n\n    c\n\nd", Links::Make, "a\n\n```text\nb\n\nc\n```\n\nd");
        becomes("# a\n    b", Links::Make, "# a\n```text\nb\n```");
        becomes("```\nb\n```", Links::Make, "```text\nb\n```");
        becomes("~~~rust\n[b]\n~~~~\nc", Links::Make, "~~~text\n[b]\n~~~\nc");
        becomes("```rust", Links::Make, "```text\n```");
        becomes("a\n\n    b\n    ```", Links::Make, "a\n\n````text\nb\n```\n````");
        becomes("- ```\n  b\n  ```\nc", Links::Make, "-\n```text\n  b\n```\nc");
        becomes("-      b", Links::Make, "- b");
        becomes("1.     b", Links::Make, "1. b");
    }

    #[test]
    fn margins_and_strange_characters_go() {
        becomes("     a\n     b", Links::Make, "a\nb");
        becomes(" a\n\n\tb", Links::Make, "a\n\n   b");
        becomes("a\rb\u{202e}c\u{0}", Links::Make, "a bc");
    }

    #[test]
    fn brackets_and_html_are_escaped() {
        becomes("[Item] and [a](Item)", Links::Make, "\\[Item\\] and \\[a\\](Item)");
        becomes("List<T> </b>", Links::Make, "List\\<T\\> \\</b\\>");
        becomes("> quoted", Links::Make, "\\> quoted");
        becomes("an `open tick", Links::Make, "an \\`open tick");
    }

    #[test]
    fn addresses_become_links_where_prost_does_not_make_them() {
        let text = "See https://example.org/a_b. And <http://example.org>, http://";
        becomes(
            text,
            Links::Make,
            "See <https://example.org/a_b>. And <http://example.org>, http://",
        );
        becomes(text, Links::Leave, "See https://example.org/a_b. And http://example.org, http://");
        becomes("https://a.org/[x]", Links::Leave, "https://a.org/ \\[x\\]");
    }
}
