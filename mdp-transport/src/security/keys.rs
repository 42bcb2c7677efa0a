//! Keys, in memory and as text.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use mdp_protocol::z85;
use zeroize::{Zeroize, Zeroizing};

use super::CurveUnavailable;

/// The number of bytes of a key.
const BYTES: usize = 32;
/// The number of characters of a key as text.
const CHARACTERS: usize = 40;

/// A public key, which identifies a peer. It may be shown to anybody.
///
/// The text form is Z85 (ZeroMQ's RFC 32): 40 characters of printable ASCII. `Display`, `FromStr` and `Debug` use that
/// form.
///
/// ```
/// use mdp_runtime::security::{KeyPair, PublicKey};
///
/// let pair = KeyPair::new()?;
/// let text = pair.public().to_string();
/// assert_eq!(text.len(), 40);
/// assert_eq!(text.parse::<PublicKey>()?, *pair.public());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; BYTES]);

impl PublicKey {
    /// Makes a key from 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        PublicKey(bytes)
    }

    /// Returns the key's 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Z85 is ASCII.
        f.pad(str::from_utf8(&z85::encode(&self.0)).unwrap_or_default())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = KeyTextError;

    fn from_str(text: &str) -> Result<Self, KeyTextError> {
        let mut bytes = [0; BYTES];
        decode(text, &mut bytes)?;
        Ok(PublicKey(bytes))
    }
}

/// A secret key. Its bytes are overwritten when the last clone is dropped, and `Debug` shows none of them.
///
/// ```
/// let pair = mdp_runtime::security::KeyPair::new()?;
/// assert_eq!(format!("{:?}", pair.secret()), "SecretKey(..)");
/// # Ok::<(), mdp_runtime::security::CurveUnavailable>(())
/// ```
#[derive(Clone)]
pub struct SecretKey(Arc<Zeroizing<[u8; BYTES]>>);

impl SecretKey {
    /// Makes a key from 32 bytes. The caller has to erase its own copy of the bytes.
    pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
        let mut key = SecretKey::zero();
        if let Some(place) = key.place() {
            place.copy_from_slice(&bytes);
        }
        bytes.zeroize();
        key
    }

    /// Reads Z85 text of 40 characters.
    ///
    /// # Errors
    ///
    /// The text is not a key. The error does not show the text.
    pub fn from_text(text: &str) -> Result<Self, KeyTextError> {
        let mut key = SecretKey::zero();
        match key.place() {
            Some(place) => decode(text, place).map(|()| key),
            None => Err(KeyTextError::Characters),
        }
    }

    /// An empty place for a key: bytes that are written there exist nowhere else, not even on the stack.
    fn zero() -> Self {
        SecretKey(Arc::new(Zeroizing::new([0; BYTES])))
    }

    /// The key's bytes, mutable, while there is no clone.
    fn place(&mut self) -> Option<&mut [u8; BYTES]> {
        Arc::get_mut(&mut self.0).map(|bytes| &mut **bytes)
    }

    /// The key's 32 bytes, for ZeroMQ.
    pub(crate) fn expose(&self) -> &[u8; BYTES] {
        &self.0
    }

    /// The key's text, for a key file and for ZeroMQ.
    pub(crate) fn expose_text(&self) -> Zeroizing<String> {
        let text = Zeroizing::new(z85::encode(self.expose()));
        // Z85 is ASCII.
        Zeroizing::new(str::from_utf8(&*text).unwrap_or_default().to_owned())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// A secret key with its public key, which identifies this program.
///
/// ```
/// use mdp_runtime::security::KeyPair;
///
/// let pair = KeyPair::new()?;
/// let again = KeyPair::from_secret(pair.secret().clone());
/// assert_eq!(again.public(), pair.public());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct KeyPair {
    public: PublicKey,
    secret: SecretKey,
}

impl KeyPair {
    /// Makes a new random pair.
    ///
    /// # Errors
    ///
    /// [`CurveUnavailable::Random`]: the operating system returned no random bytes.
    pub fn new() -> Result<Self, CurveUnavailable> {
        let mut secret = SecretKey::zero();
        let place = secret.place().ok_or(CurveUnavailable::Random)?;
        getrandom::fill(place).map_err(|_| CurveUnavailable::Random)?;
        Ok(KeyPair::from_secret(secret))
    }

    /// Makes the pair of a secret key.
    pub fn from_secret(secret: SecretKey) -> Self {
        let public = *mdp_zmtp::KeyPair::new(secret.expose()).public().as_bytes();
        KeyPair { public: PublicKey(public), secret }
    }

    /// Returns the public key.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Returns the secret key.
    pub fn secret(&self) -> &SecretKey {
        &self.secret
    }
}

/// The error of a text that is not a key. It does not show the text, which may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyTextError {
    /// The text is too long or too short; the number of its characters.
    #[error("a key has {CHARACTERS} characters, and this text has {0}")]
    Length(usize),
    /// The text has the right length, but is not Z85.
    #[error("the text is not Z85; a key is copied as a whole, with all its punctuation")]
    Characters,
}

/// Writes the bytes of Z85 text to `place`, and overwrites the temporary copy.
fn decode(text: &str, place: &mut [u8; BYTES]) -> Result<(), KeyTextError> {
    if text.len() != CHARACTERS {
        return Err(KeyTextError::Length(text.chars().count()));
    }
    let mut bytes = Zeroizing::new([0; BYTES]);
    if !z85::decode(text.as_bytes(), &mut bytes) {
        return Err(KeyTextError::Characters);
    }
    place.copy_from_slice(&*bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_are_one_key() {
        for _ in 0..50 {
            let pair = KeyPair::new().unwrap();
            let text = pair.public().to_string();
            assert_eq!(text.parse::<PublicKey>(), Ok(*pair.public()));
            assert_eq!(format!("{:?}", pair.public()), format!("PublicKey({text})"));
            let again = SecretKey::from_text(&pair.secret().expose_text()).unwrap();
            assert_eq!(again.expose(), pair.secret().expose());
            assert_eq!(KeyPair::from_secret(again).public(), pair.public());
        }
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_shown() {
        let good = KeyPair::new().unwrap().public().to_string();
        assert_eq!("".parse::<PublicKey>(), Err(KeyTextError::Length(0)));
        assert_eq!(good[1..].parse::<PublicKey>(), Err(KeyTextError::Length(39)));
        for bad in ["\"", " ", "\0", "~"] {
            let text = format!("{bad}{}", &good[1..]);
            assert_eq!(text.parse::<PublicKey>(), Err(KeyTextError::Characters), "{text}");
        }
        // The largest chunk is more than 32 bits can hold, and `#` in front is a longer form's padding.
        for chunk in ["#####", "##000"] {
            let text = format!("{}{chunk}", &good[..35]);
            assert_eq!(text.parse::<PublicKey>(), Err(KeyTextError::Characters), "{text}");
        }
        assert!("é".repeat(20).parse::<PublicKey>().is_err());
    }

    #[test]
    fn nothing_shows_a_secret() {
        let pair = KeyPair::new().unwrap();
        let text = pair.secret().expose_text();
        assert!(!format!("{pair:?} {:?}", pair.secret()).contains(text.as_str()));
    }
}
