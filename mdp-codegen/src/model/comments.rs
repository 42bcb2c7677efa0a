//! The comments of a declaration.

/// The comments of a declaration, as lines of text.
///
/// The lines have neither the marks of a comment (`//`, `/*`, `///`) nor the margin that all of them share. They are
/// not escaped for any language.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Comments {
    /// The lines above the declaration.
    pub leading: Vec<String>,
    /// The lines behind it, as in `rpc Login(..) returns (..); // Behind it.`
    pub trailing: Vec<String>,
}

impl Comments {
    /// Comments of these texts, which may have several lines each.
    ///
    /// ```
    /// use mdp_codegen::model::Comments;
    ///
    /// let comments = Comments::new(" Checks a password.\n\n   It takes a second.\n", "");
    /// assert_eq!(comments.leading, ["Checks a password.", "", "  It takes a second."]);
    /// assert!(comments.trailing.is_empty());
    /// ```
    pub fn new(leading: &str, trailing: &str) -> Self {
        Self { leading: without_margin(leading), trailing: without_margin(trailing) }
    }

    /// Whether there is no comment.
    pub fn is_empty(&self) -> bool {
        self.leading.is_empty() && self.trailing.is_empty()
    }

    /// All lines: the leading ones, an empty line if there are both, and the trailing ones.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        let both = !self.leading.is_empty() && !self.trailing.is_empty();
        let leading = self.leading.iter().map(String::as_str);
        let trailing = self.trailing.iter().map(String::as_str);
        leading.chain(both.then_some("")).chain(trailing)
    }
}

/// The lines of a text without the blanks that all of them begin with, and without those at their ends.
fn without_margin(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let margin = |line: &&str| line.len() - line.trim_start_matches(' ').len();
    let margin = lines.iter().filter(|line| !line.is_empty()).map(margin).min().unwrap_or(0);
    lines.iter().map(|line| line.get(margin..).unwrap_or_default().to_owned()).collect()
}
