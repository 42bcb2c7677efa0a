//! Z85 (RFC 32), in which keys are written: 32 bytes in 40 characters.

const ALPHABET: &[u8; 85] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// A key as text.
pub(crate) fn encode(key: &[u8; 32]) -> [u8; 40] {
    let mut text = [0; 40];
    for (bytes, places) in key.chunks(4).zip(text.chunks_mut(5)) {
        let mut value = bytes.iter().fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
        for place in places.iter_mut().rev() {
            *place = ALPHABET.get((value % 85) as usize).copied().unwrap_or_default();
            value /= 85;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rfcs_own_example() {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&[0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b]);
        let text = encode(&key);
        assert_eq!(&text[..10], b"HelloWorld");
        assert_eq!(&text[10..], [b'0'; 30]);
    }
}
