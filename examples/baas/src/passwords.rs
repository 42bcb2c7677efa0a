//! Passwords, hashed with argon2id. A hash has its salt and its parameters in it (a PHC string).

use std::sync::{Mutex, MutexGuard, PoisonError};

use argon2::password_hash::Error;
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};

/// The hash of a password, with a salt of its own.
///
/// # Errors
///
/// The machine has no random numbers, or no memory for it.
pub fn hash(password: &str) -> Result<String, Error> {
    let argon = Argon2::default();
    let salt = Salt::generate();
    let length = argon.params().output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    let hash = PasswordHash {
        algorithm: Algorithm::default().ident(),
        version: Some(Version::default().into()),
        params: ParamsString::try_from(argon.params())?,
        salt: Some(salt),
        hash: Some(work(&argon, password, &salt, length)?),
    };
    Ok(hash.to_string())
}

/// Whether it is the password of this hash. It takes the same time for any password.
pub fn matches(hash: &str, password: &str) -> bool {
    let matches = || {
        let hash = PasswordHash::new(hash).ok()?;
        let version = hash.version.map(Version::try_from).transpose().ok()?.unwrap_or_default();
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
        let argon = Argon2::new(algorithm, version, Params::try_from(&hash).ok()?);
        let (salt, known) = (hash.salt?, hash.hash?);
        // Outputs are compared in equal time.
        Some(work(&argon, password, &salt, known.len()).ok()? == known)
    };
    matches().unwrap_or(false)
}

fn work(argon: &Argon2<'_>, password: &str, salt: &Salt, length: usize) -> Result<Output, Error> {
    let mut memory = Memory::take(argon.params().block_count());
    let mut output = [0; Output::MAX_LENGTH];
    let output = output.get_mut(..length).ok_or(Error::OutputSize)?;
    argon.hash_password_into_with_memory(
        password.as_bytes(),
        salt,
        output,
        memory.0.as_mut_slice(),
    )?;
    Ok(Output::new(output)?)
}

/// What nobody uses at the moment: 19 MiB each, as many as there were hashes at once. Allocated for each hash anew, such large
/// pieces stay behind in the allocator, some 180 MiB for each thread.
static SPARE: Mutex<Vec<Vec<Block>>> = Mutex::new(Vec::new());

/// The memory of one hash.
struct Memory(Vec<Block>);

impl Memory {
    fn take(blocks: usize) -> Self {
        let mut memory = spare().pop().unwrap_or_default();
        memory.resize(blocks, Block::default());
        Memory(memory)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        spare().push(std::mem::take(&mut self.0));
    }
}

fn spare() -> MutexGuard<'static, Vec<Vec<Block>>> {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::{PasswordHasher, PasswordVerifier};

    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_and_no_two_hashes_are_the_same() {
        let (one, other) = (hash("correct horse").unwrap(), hash("correct horse").unwrap());
        assert!(one.starts_with("$argon2id$v=19$") && one != other, "{one} {other}");
        assert!(matches(&one, "correct horse") && matches(&other, "correct horse"));
        assert!(!matches(&one, "correct hors") && !matches("no hash", "correct horse"));
    }

    /// Only the memory is this module's own.
    #[test]
    fn hashes_are_those_of_the_crate() {
        let theirs: PasswordHash = Argon2::default().hash_password(b"correct horse").unwrap();
        assert!(matches(&theirs.to_string(), "correct horse"));
        let ours = hash("correct horse").unwrap();
        let verify = |password: &[u8]| Argon2::default().verify_password(password, ours.as_str());
        assert!(verify(b"correct horse").is_ok() && verify(b"correct hors").is_err());
        let small = Argon2::new(
            Algorithm::Argon2id,
            Version::V0x13,
            Params::new(64, 1, 1, Some(24)).unwrap(),
        );
        let small = small.hash_password(b"correct horse").unwrap().to_string();
        assert!(matches(&small, "correct horse") && !matches(&small, "correct hors"));
    }
}
