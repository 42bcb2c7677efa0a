//! The `Debug` form of messages: short, for any content.

use std::fmt;

use super::Message;

/// The maximum number of frames, and of bytes of each, that are shown.
const MAX_FRAMES: usize = 16;
const MAX_BYTES: usize = 32;

/// `Message["sensor", 4 bytes 0x00000007]`: text in quotes, otherwise the length and the bytes; `…` marks omitted
/// parts.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Message")?;
        let mut list = f.debug_list();
        list.entries(self.frames().take(MAX_FRAMES).map(|frame| Frame(frame)));
        match self.len().saturating_sub(MAX_FRAMES) {
            0 => list.finish(),
            more => list.entry(&format_args!("… {more} more")).finish(),
        }
    }
}

struct Frame<'a>(&'a [u8]);

impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, rest) = self.0.split_at(self.0.len().min(MAX_BYTES));
        let ellipsis = if rest.is_empty() { "" } else { "…" };
        if let Some(text) = text(shown, rest.is_empty()) {
            return match rest.is_empty() {
                true => write!(f, "{text:?}"),
                false => write!(f, "{} bytes {text:?}…", self.0.len()),
            };
        }
        write!(f, "{} bytes 0x", self.0.len())?;
        shown.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(ellipsis)
    }
}

/// The bytes as printable text. If they are a part of the frame, their last character may be incomplete.
fn text(bytes: &[u8], whole: bool) -> Option<&str> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if !whole && error.error_len().is_none() => {
            std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    (!text.contains(char::is_control)).then_some(text)
}
