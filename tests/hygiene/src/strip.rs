//! Rust source without its comments and without what its texts say, so that a word is found only
//! where the compiler finds it.

/// The source with comments, texts and character literals replaced by spaces. Lines stay where they
/// are.
pub fn code(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        // A `r` or a `b` within a name begins no text.
        let in_name = out.chars().next_back().is_some_and(is_name);
        let end = skipped(rest, in_name);
        let len = end.unwrap_or(first.len_utf8());
        let (piece, behind) = rest.split_at(len);
        match end {
            Some(_) => out.extend(piece.chars().map(|c| if c == '\n' { c } else { ' ' })),
            None => out.push_str(piece),
        }
        rest = behind;
    }
    out
}

/// Whether a character may stand in a name.
pub(crate) fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// How long the comment or the text is that begins here, if one does.
fn skipped(rest: &str, in_name: bool) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    if rest.starts_with('"') {
        return Some(text(rest, 0));
    }
    if rest.starts_with('\'') {
        return character(rest);
    }
    if in_name {
        return None;
    }
    let prefixes = ["br", "cr", "b", "c", "r"];
    let prefix = prefixes.iter().find(|prefix| {
        rest.strip_prefix(**prefix).is_some_and(|rest| rest.starts_with(['"', '#']))
    })?;
    if prefix.ends_with('r') { raw(rest, prefix.len()) } else { plain(rest, prefix.len()) }
}

/// A block comment, with those within it.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while let Some(ahead) = rest.get(at..).filter(|ahead| !ahead.is_empty()) {
        let step = if ahead.starts_with("/*") {
            depth += 1;
            2
        } else if ahead.starts_with("*/") {
            depth -= 1;
            2
        } else {
            ahead.chars().next().map_or(1, char::len_utf8)
        };
        at += step;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// A text in quotes whose opening quote is at `at`.
fn text(rest: &str, at: usize) -> usize {
    let mut escaped = false;
    for (place, c) in rest.char_indices().skip_while(|(place, _)| *place <= at) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return place + 1,
            _ => {}
        }
    }
    rest.len()
}

fn plain(rest: &str, prefix: usize) -> Option<usize> {
    rest.get(prefix..)?.starts_with('"').then(|| text(rest, prefix))
}

/// A raw text, with as many `#` around it as it says; `r#name` is none.
fn raw(rest: &str, prefix: usize) -> Option<usize> {
    let behind = rest.get(prefix..)?;
    let hashes = behind.len() - behind.trim_start_matches('#').len();
    let body = behind.get(hashes..)?.strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = body.find(&close).map_or(body.len(), |end| end + close.len());
    Some(prefix + hashes + 1 + end)
}

/// A character literal; a lifetime is none.
fn character(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        let (_, _escaped) = chars.next()?;
        return chars.find(|(_, c)| *c == '\'').map(|(place, _)| place + 1);
    }
    chars.next().filter(|(_, c)| *c == '\'').map(|(place, _)| place + 1)
}
