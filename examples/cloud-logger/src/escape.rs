//! Text of others, so that it can be shown: no character of it steers a terminal, begins a line or turns text around.

use std::fmt::Write;

/// Shows control characters, line ends and what turns the direction of text as escapes. Other text stays as it is.
///
/// ```
/// use example_cloud_logger::escape::escape;
///
/// assert_eq!(escape("two\nlines, \x1b[31mred"), r"two\nlines, \u{1b}[31mred");
/// assert_eq!(escape("Grüße"), "Grüße");
/// ```
pub fn escape(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if !steers(c) => shown.push(c),
            '\n' | '\r' | '\t' => shown.extend(c.escape_default()),
            // Writing into a string cannot fail.
            c => drop(write!(shown, "\\u{{{:x}}}", u32::from(c))),
        }
    }
    shown
}

/// Unicode's categories Cc, Zl and Zp, its marks for direction, and characters that cannot be seen.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers() {
        assert_eq!(escape("a\x07\x08\x7f\u{9b}31m\0"), r"a\u{7}\u{8}\u{7f}\u{9b}31m\u{0}");
        assert_eq!(
            escape("\r\n\t\u{2028}\u{202e}txt.exe\u{feff}"),
            r"\r\n\t\u{2028}\u{202e}txt.exe\u{feff}"
        );
        for c in (0..=0x0011_0000).filter_map(char::from_u32).filter(|c| c.is_control()) {
            assert!(!escape(&c.to_string()).contains(c), "{c:?}");
        }
        assert_eq!(escape("<b> & \"x\" \\ é 日本"), "<b> & \"x\" \\ é 日本");
    }
}
