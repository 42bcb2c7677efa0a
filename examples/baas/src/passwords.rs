//! Passwords, hashed with argon2id. A hash has its salt and its parameters in it (a PHC string).

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error, PasswordHasher, PasswordVerifier};

/// The hash of a password, with a salt of its own.
///
/// # Errors
///
/// The machine has no random numbers, or no memory for it.
pub fn hash(password: &str) -> Result<String, Error> {
    let hash: PasswordHash = Argon2::default().hash_password(password.as_bytes())?;
    Ok(hash.to_string())
}

/// Whether it is the password of this hash. It takes the same time for any password.
pub fn matches(hash: &str, password: &str) -> bool {
    let parsed = PasswordHash::new(hash);
    parsed.is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_and_no_two_hashes_are_the_same() {
        let (one, other) = (hash("correct horse").unwrap(), hash("correct horse").unwrap());
        assert!(one.starts_with("$argon2id$v=19$") && one != other, "{one} {other}");
        assert!(matches(&one, "correct horse") && matches(&other, "correct horse"));
        assert!(!matches(&one, "correct hors") && !matches("no hash", "correct horse"));
    }
}
