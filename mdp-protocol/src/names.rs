//! Names of services, methods and peers: their rules, and how to split a method's path.

use alloc::sync::Arc;

/// A service's name or a peer's id, shared.
pub type Name = Arc<[u8]>;

/// The most bytes that a name may have: its length is one byte on the wire.
pub const MAX_NAME: usize = 255;

/// Why a name is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name is empty.
    #[error("the name is empty; give 1 to 255 bytes of printable ASCII without spaces")]
    Empty,
    /// The name is longer than the wire can carry.
    #[error("the name has {0} bytes; at most 255 are allowed")]
    TooLong(usize),
    /// The name has a space, or a byte that is not printable ASCII.
    #[error("byte {at} of the name is {byte:#04x}; only printable ASCII without spaces is allowed")]
    BadByte {
        /// The position of the byte, counted from 0.
        at: usize,
        /// The byte.
        byte: u8,
    },
    /// A method's path has no `/` between service and method, or one of the two is empty.
    #[error("the method's path has no service or no method; it reads `package.Service/Method`")]
    NotAPath,
}

/// Checks a service's or a peer's name: 1 to 255 bytes of printable ASCII without space.
///
/// ```
/// use mdp_protocol::names::{check, NameError};
/// assert_eq!(check(b"auth.v1.Auth"), Ok("auth.v1.Auth"));
/// assert_eq!(check(b""), Err(NameError::Empty));
/// assert_eq!(check(b"a\x07"), Err(NameError::BadByte { at: 1, byte: 7 }));
/// ```
///
/// # Errors
///
/// The fault of the name and its position.
pub fn check(name: &[u8]) -> Result<&str, NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > MAX_NAME {
        return Err(NameError::TooLong(name.len()));
    }
    if let Some(at) = name.iter().position(|byte| !byte.is_ascii_graphic()) {
        let byte = name.get(at).copied().unwrap_or_default();
        return Err(NameError::BadByte { at, byte });
    }
    // Printable ASCII is UTF-8, so the error arm is never taken.
    core::str::from_utf8(name).map_err(|_| NameError::NotAPath)
}

/// Splits `package.Service/Method` at its last `/`.
///
/// ```
/// use mdp_protocol::names::split;
/// assert_eq!(split("auth.v1.Auth/Login"), Ok(("auth.v1.Auth", "Login")));
/// assert!(split("auth.v1.Auth").is_err());
/// ```
///
/// # Errors
///
/// [`NameError::NotAPath`]: the path has no `/`, or one side of it is empty.
pub fn split(path: &str) -> Result<(&str, &str), NameError> {
    match path.rsplit_once('/') {
        Some((service, method)) if !service.is_empty() && !method.is_empty() => {
            Ok((service, method))
        }
        _ => Err(NameError::NotAPath),
    }
}
