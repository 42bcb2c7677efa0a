//! The cipher: boxes of NaCl, XSalsa20-Poly1305 with a key that X25519 agrees on. No other file names the cipher's crate.

use salsabox::{BoxKey, SecretBox};
use x25519_dalek::{PublicKey as Point, StaticSecret};

use crate::keys::{KEY_LEN, PublicKey};

/// The length of a nonce.
pub(crate) const NONCE: usize = 24;
/// The length of a tag, by which a box is longer than its text.
pub(crate) const TAG: usize = 16;

/// The key of boxes. It is overwritten when it is dropped.
pub(crate) enum Cipher {
    /// A key of one side alone, as a cookie's.
    Own(SecretBox),
    /// A key that two sides have agreed on.
    Agreed(BoxKey),
}

impl Cipher {
    /// A cipher with this key.
    pub(crate) fn new(key: &[u8; KEY_LEN]) -> Self {
        Cipher::Own(SecretBox::from_key(key))
    }

    /// The cipher between the owner of `secret` and the owner of `public`. `None`: the public key has a low order, so
    /// anybody knows the result.
    pub(crate) fn agree(secret: &StaticSecret, public: &PublicKey) -> Option<Self> {
        let shared = secret.diffie_hellman(&Point::from(*public.as_bytes()));
        BoxKey::from_shared_secret(shared.as_bytes()).map(Cipher::Agreed)
    }

    /// Encrypts in place. Returns the tag.
    #[inline]
    pub(crate) fn seal(&self, nonce: &[u8; NONCE], text: &mut [u8]) -> [u8; TAG] {
        match self {
            Cipher::Own(key) => key.encrypt_detached(nonce, text),
            Cipher::Agreed(key) => key.encrypt_detached(nonce, text),
        }
    }

    /// Checks the tag in constant time and decrypts in place. Returns whether the tag is right; the text is unchanged if
    /// it is not.
    #[inline]
    #[must_use]
    pub(crate) fn open(&self, nonce: &[u8; NONCE], tag: &[u8; TAG], text: &mut [u8]) -> bool {
        match self {
            Cipher::Own(key) => key.decrypt_detached(nonce, text, tag).is_ok(),
            Cipher::Agreed(key) => key.decrypt_detached(nonce, text, tag).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use crypto_secretbox::aead::{AeadInPlace, KeyInit};
    use crypto_secretbox::{Kdf, Key, Nonce, XSalsa20Poly1305};

    use super::*;
    use crate::keys::KeyPair;

    fn octets(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at * 7 % 256) as u8).collect()
    }

    /// All lengths up to several blocks of the widest SIMD, then some around powers of two.
    fn lengths() -> impl Iterator<Item = usize> {
        let around = (12..17).flat_map(|power| [(1 << power) - 1, 1 << power, (1 << power) + 33]);
        (0..2_200).chain(around)
    }

    #[test]
    fn boxes_are_those_of_another_implementation() {
        let key = [0x42; KEY_LEN];
        let (ours, theirs) = (Cipher::new(&key), XSalsa20Poly1305::new(&Key::from(key)));
        for len in lengths() {
            let mut nonce = [0x24; NONCE];
            nonce[16..].copy_from_slice(&(len as u64).to_be_bytes());
            let (mut sealed, mut expected) = (octets(len), octets(len));
            let tag = ours.seal(&nonce, &mut sealed);
            let expected_tag =
                theirs.encrypt_in_place_detached(&Nonce::from(nonce), b"", &mut expected).unwrap();
            assert!(sealed == expected && tag[..] == expected_tag[..], "{len} octets");
            // A changed tag, nonce or octet: nothing is opened, and nothing is written.
            let mut wrong = tag;
            wrong[len % TAG] ^= 1;
            assert!(!ours.open(&nonce, &wrong, &mut sealed) && sealed == expected);
            nonce[len % NONCE] ^= 1;
            assert!(!ours.open(&nonce, &tag, &mut sealed) && sealed == expected);
            nonce[len % NONCE] ^= 1;
            if let Some(octet) = sealed.last_mut() {
                *octet ^= 0x80;
                assert!(!ours.open(&nonce, &tag, &mut sealed));
                *sealed.last_mut().unwrap() ^= 0x80;
            }
            assert!(ours.open(&nonce, &tag, &mut sealed) && sealed == octets(len));
        }
    }

    #[test]
    fn both_sides_agree_on_the_key_of_another_implementation() {
        let [one, other] = [1, 2].map(|octet| KeyPair::new(&[octet; KEY_LEN]));
        let nonce = [3; NONCE];
        let mut text = octets(100);
        let tag = Cipher::agree(one.secret(), other.public()).unwrap().seal(&nonce, &mut text);

        let shared = one.secret().diffie_hellman(&Point::from(*other.public().as_bytes()));
        let key = XSalsa20Poly1305::kdf(&Key::from(shared.to_bytes()), &Default::default());
        let mut expected = octets(100);
        let expected_tag = XSalsa20Poly1305::new(&key)
            .encrypt_in_place_detached(&Nonce::from(nonce), b"", &mut expected)
            .unwrap();
        assert!(text == expected && tag[..] == expected_tag[..]);
        let back = Cipher::agree(other.secret(), one.public()).unwrap();
        assert!(back.open(&nonce, &tag, &mut text) && text == octets(100));
        assert!(Cipher::agree(one.secret(), &PublicKey::new([0; KEY_LEN])).is_none());
    }
}
