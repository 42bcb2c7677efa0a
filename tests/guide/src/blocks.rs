//! The blocks of code of a page.

/// What a note above a block may say of who runs it. The first two name a file, the last one a reason.
pub const CLAIMS: [&str; 3] = ["run by", "checked by", "not run"];

/// A block between fences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The word behind the fence, `rust` for instance. Empty if there is none.
    pub language: String,
    /// The text, without the indent of the fence.
    pub text: String,
    /// The line of the fence, from 1.
    pub line: usize,
    /// The comments of HTML directly above the fence, one a line, without `<!--` and `-->`.
    pub notes: Vec<String>,
}

impl Block {
    /// The rest of the first note that begins with `word` and a colon.
    pub fn note(&self, word: &str) -> Option<&str> {
        self.notes.iter().find_map(|note| note.strip_prefix(word)?.strip_prefix(": "))
    }

    /// Whether a note says who runs it, or why nobody does.
    pub fn is_claimed(&self) -> bool {
        CLAIMS.iter().any(|word| self.note(word).is_some())
    }
}

/// All blocks of a page, in order. A fence that is not closed ends with the page.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut notes = Vec::new();
    let mut indent = None;
    for (number, line) in page.lines().enumerate() {
        let text = line.trim_start();
        match (indent, text.strip_prefix("```")) {
            (None, Some(language)) => {
                indent = Some(line.len() - text.len());
                let language = language.trim().to_owned();
                let notes = std::mem::take(&mut notes);
                blocks.push(Block { language, text: String::new(), line: number + 1, notes });
            }
            (None, None) => match note(text) {
                Some(note) => notes.push(note.to_owned()),
                None => notes.clear(),
            },
            (Some(_), Some(_)) => indent = None,
            (Some(indent), None) => {
                if let Some(block) = blocks.last_mut() {
                    // A line with less of an indent is kept as it is.
                    block.text.push_str(line.get(indent..).unwrap_or(text));
                    block.text.push('\n');
                }
            }
        }
    }
    blocks
}

/// The text of a comment that is a line of its own.
fn note(line: &str) -> Option<&str> {
    Some(line.strip_prefix("<!--")?.strip_suffix("-->")?.trim())
}

/// The lines, from 1, at which a block by indent begins: it has no language, and no checker sees it. What is indented below
/// an item of a list belongs to the item.
pub fn indented(page: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let (mut in_fence, mut after_blank, mut in_list, mut in_block) = (false, true, false, false);
    for (number, line) in page.lines().enumerate() {
        let text = line.trim_start();
        let is_fence = text.starts_with("```");
        in_fence ^= is_fence;
        if in_fence || is_fence {
            continue;
        }
        let indent = line.len() - text.len();
        if !text.is_empty() {
            let begins = indent >= 4 && after_blank && !in_list && !in_block;
            if begins {
                found.push(number + 1);
            }
            in_block = indent >= 4 && (begins || in_block);
            if indent == 0 {
                let digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
                in_list =
                    text.starts_with("- ") || digits.len() < text.len() && digits.starts_with(". ");
            }
        }
        after_blank = text.is_empty();
    }
    found
}
