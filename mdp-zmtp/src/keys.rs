//! Keys of CURVE, and the random octets that a connection needs.

use alloc::boxed::Box;
use core::fmt;

use x25519_dalek::{PublicKey as Point, StaticSecret};
use zeroize::Zeroize;

/// The length of a key in octets.
pub const KEY_LEN: usize = 32;

/// A public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; KEY_LEN]);

impl PublicKey {
    /// The key with these octets.
    pub const fn new(octets: [u8; KEY_LEN]) -> Self {
        PublicKey(octets)
    }

    /// The octets of the key.
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

/// Shows the key in hexadecimal digits.
impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(")?;
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))?;
        f.write_str(")")
    }
}

/// A secret key and its public key. The secret key is overwritten when the pair is dropped, and never shown.
#[derive(Clone)]
pub struct KeyPair {
    secret: StaticSecret,
    public: PublicKey,
}

impl KeyPair {
    /// The pair of this secret key. The copy in `secret` is the caller's to overwrite.
    ///
    /// ```
    /// use mdp_zmtp::KeyPair;
    ///
    /// let pair = KeyPair::new(&[7; 32]);
    /// assert_ne!(pair.public().as_bytes(), &[7; 32]);
    /// ```
    pub fn new(secret: &[u8; KEY_LEN]) -> Self {
        let secret = StaticSecret::from(*secret);
        let public = PublicKey(Point::from(&secret).to_bytes());
        KeyPair { secret, public }
    }

    /// The public key.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn secret(&self) -> &StaticSecret {
        &self.secret
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("public", &self.public).finish_non_exhaustive()
    }
}

/// The random octets of one connection: a transient key, a cookie's key and two nonces. They must come from a
/// cryptographic source, and are used once. The connection overwrites them when it has used them. NULL needs none, and
/// drops them.
pub struct Seed(Box<Parts>);

#[derive(Default)]
struct Parts {
    transient: [u8; KEY_LEN],
    cookie_key: [u8; KEY_LEN],
    nonce: [u8; NONCE_LEN],
    cookie_nonce: [u8; NONCE_LEN],
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.transient.zeroize();
        self.cookie_key.zeroize();
        self.nonce.zeroize();
        self.cookie_nonce.zeroize();
    }
}

/// The length of a long nonce: the part of a nonce that travels in WELCOME, in a cookie and in a vouch.
pub(crate) const NONCE_LEN: usize = 16;

impl Seed {
    /// A seed that `fill` fills with random octets, 96 in all. `fill` is called four times.
    ///
    /// ```
    /// use mdp_zmtp::Seed;
    ///
    /// // In a program: the system's random numbers.
    /// let seed = Seed::fill(|octets| {
    ///     octets.fill(7);
    ///     Ok::<(), core::fmt::Error>(())
    /// })?;
    /// # drop(seed);
    /// # Ok::<(), core::fmt::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The first error of `fill`.
    pub fn fill<E>(mut fill: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut parts = Box::<Parts>::default();
        fill(&mut parts.transient)?;
        fill(&mut parts.cookie_key)?;
        fill(&mut parts.nonce)?;
        fill(&mut parts.cookie_nonce)?;
        Ok(Seed(parts))
    }

    /// The transient key pair.
    pub(crate) fn transient(&self) -> KeyPair {
        KeyPair::new(&self.0.transient)
    }

    /// The key of a server's cookie.
    pub(crate) fn cookie_key(&self) -> &[u8; KEY_LEN] {
        &self.0.cookie_key
    }

    /// The nonce of a server's WELCOME, or of a client's vouch.
    pub(crate) fn nonce(&self) -> &[u8; NONCE_LEN] {
        &self.0.nonce
    }

    /// The nonce of a server's cookie.
    pub(crate) fn cookie_nonce(&self) -> &[u8; NONCE_LEN] {
        &self.0.cookie_nonce
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}
