//! Z85 (RFC 32), in which keys are written: 32 bytes in 40 characters.

/// The bytes of a key, and the characters of its text.
const BYTES: usize = 32;
const CHARACTERS: usize = 40;
const ALPHABET: &[u8; 85] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// A key as text. All characters are ASCII.
///
/// ```
/// use mdp_protocol::z85;
/// assert_eq!(z85::encode(&[0; 32]), [b'0'; 40]);
/// ```
pub fn encode(key: &[u8; BYTES]) -> [u8; CHARACTERS] {
    let mut text = [0; CHARACTERS];
    for (bytes, places) in key.chunks(4).zip(text.chunks_mut(5)) {
        let mut value = bytes.iter().fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
        for place in places.iter_mut().rev() {
            *place = ALPHABET.get((value % 85) as usize).copied().unwrap_or_default();
            value /= 85;
        }
    }
    text
}

/// Writes the key of a text to `key`. `false`: the text is not the 40 characters of Z85 of a key, and `key` may have a part
/// of it.
///
/// ```
/// use mdp_protocol::z85;
/// let mut key = [1; 32];
/// assert!(z85::decode(&[b'0'; 40], &mut key) && key == [0; 32]);
/// assert!(!z85::decode(b"too short", &mut key));
/// ```
pub fn decode(text: &[u8], key: &mut [u8; BYTES]) -> bool {
    if text.len() != CHARACTERS {
        return false;
    }
    for (characters, places) in text.chunks(5).zip(key.chunks_mut(4)) {
        let mut value = 0_u64;
        for character in characters {
            let Some(digit) = ALPHABET.iter().position(|known| known == character) else {
                return false;
            };
            value = value * 85 + digit as u64;
        }
        // Five characters can say a little more than four bytes can hold.
        let Ok(value) = u32::try_from(value) else { return false };
        places.copy_from_slice(&value.to_be_bytes());
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rfcs_own_example() {
        let mut key = [0; BYTES];
        key[..8].copy_from_slice(&[0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b]);
        let text = encode(&key);
        assert_eq!(&text[..10], b"HelloWorld");
        assert_eq!(&text[10..], [b'0'; 30]);
        let mut back = [1; BYTES];
        assert!(decode(&text, &mut back));
        assert_eq!(back, key);
    }

    #[test]
    fn each_character_and_each_place_counts() {
        let mut key = [0; BYTES];
        for place in 0..CHARACTERS {
            for (digit, character) in ALPHABET.iter().enumerate() {
                let mut text = [b'0'; CHARACTERS];
                text[place] = *character;
                // 85^4 * 83 is beyond four bytes.
                let fits = place % 5 > 0 || digit < 83;
                assert_eq!(decode(&text, &mut key), fits, "{place} {digit}");
                assert!(!fits || encode(&key) == text);
            }
            for bad in [b' ', b'"', b'~', b'\'', b'|', 0, 0x80, 0xff] {
                let mut text = [b'0'; CHARACTERS];
                text[place] = bad;
                assert!(!decode(&text, &mut key));
            }
        }
        for len in [0, 39, 41] {
            assert!(!decode(&[b'0'; 41][..len], &mut key));
        }
        assert!(decode(b"%nSc0%nSc0%nSc0%nSc0%nSc0%nSc0%nSc0%nSc0", &mut key));
        assert_eq!(key, [0xff; BYTES]);
        assert!(!decode(b"%nSc1%nSc0%nSc0%nSc0%nSc0%nSc0%nSc0%nSc0", &mut key));
    }
}
