//! Key files: `NAME.pub` is public, `NAME.key` is for its owner only.
//!
//! ```text
//! # MDP/RPC secret key. ...
//! public-key = "..."
//! secret-key = "..."
//! ```

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::CurveUnavailable;
use super::keys::{KeyPair, KeyTextError, PublicKey, SecretKey};
use super::trusted::{is_foreign, warn_of_owner, written_by_others};
use crate::clock;

const PUBLIC_HEADER: &str = "\
# MDP/RPC public key. It may be shown to anybody: it says who the owner of the secret key is.
";
const SECRET_HEADER: &str = "\
# MDP/RPC secret key. Keep it secret: whoever has it can do all that its owner may do.
# Copy it over secure ways only, and leave it readable for its owner alone (chmod 600).
";
const PUBLIC: &str = "public-key";
const SECRET: &str = "secret-key";

const PUBLIC_MODE: u32 = 0o644;
const SECRET_MODE: u32 = 0o600;
/// The permission bits of group and others.
const OTHERS: u32 = 0o077;
/// Far more bytes than a key file has.
const MAX_BYTES: usize = 64 << 10;
/// How many temporary names are tried.
const TEMPORARY_NAMES: u32 = 16;

/// The error of reading or writing a key file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// A file with this name exists already. Key files are never overwritten.
    #[error("{} exists already, and a key file is never overwritten; use another name, or move the file away", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The name cannot be used for a file.
    #[error("`{name}` cannot be the name of a key; use letters, digits, `-`, `_` and `.`")]
    Name {
        /// The name.
        name: String,
    },
    /// Group or others can read or write the secret key file.
    #[error("{path} has the mode {mode:04o}, so other users than its owner can read or write it; run `chmod 600 {path}`, and make a new key if somebody may have read this one", path = path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// The file's permissions.
        mode: u32,
    },
    /// Group or others can write the public key file, and so could replace the key.
    #[error("{path} has the mode {mode:04o}, so other users than its owner can put another key there; run `chmod go-w {path}`, and compare the key with its owner's before you use it", path = path.display())]
    Writable {
        /// The file.
        path: PathBuf,
        /// The file's permissions.
        mode: u32,
    },
    /// The secret key file belongs to a user other than this process's user and root.
    #[error("{path} belongs to the user {owner}, who can read and replace it, and this process is of the user {own}; run `chown {own} {path}`, and make a new key if that user should not have this one", path = path.display())]
    Owner {
        /// The file.
        path: PathBuf,
        /// The id of the user that owns the file.
        owner: u32,
        /// The id of this process's user.
        own: u32,
    },
    /// The secret key file is a symbolic link.
    #[error("{} is a symbolic link; give the path of the secret key file itself", path.display())]
    Symlink {
        /// The link.
        path: PathBuf,
    },
    /// The path is a directory, a pipe or a device.
    #[error("{} is not a regular file; give the path of a key file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file has a secret key, but a public key is required.
    #[error("{} holds a secret key, but a public key is needed; give the file that ends in .pub, and keep this one secret", path.display())]
    Secret {
        /// The file.
        path: PathBuf,
    },
    /// A line does not belong in a key file, or a line is missing.
    #[error("{} is not a key file: {problem}; make one with `mdp keys new`", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The problem, without any of the file's content.
        problem: String,
    },
    /// A key is invalid.
    #[error("the {name} in {} cannot be used", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The name of the key in the file.
        name: &'static str,
        /// The problem with the key.
        source: KeyTextError,
    },
    /// The public key does not belong to the secret key.
    #[error("the two keys in {} do not belong together; make new ones with `mdp keys new`", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
    },
    /// The operating system reported an error.
    #[error("could not {what} {}", path.display())]
    Io {
        /// The operation that failed.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The operating system returned no random bytes for a new key.
    #[error(transparent)]
    CurveUnavailable(#[from] CurveUnavailable),
}

impl PublicKey {
    /// Reads a public key file, as written by `mdp keys new` and [`KeyPair::create`].
    ///
    /// # Errors
    ///
    /// The file cannot be read, can be written by group or others, or is not a public key file. A file with a secret
    /// key is refused. A file of another user than this process's and root is read, and a warning is logged.
    pub fn read(path: impl AsRef<Path>) -> Result<PublicKey, KeyFileError> {
        let path = path.as_ref();
        // Opening a pipe would wait for a writer.
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
        let file = file.map_err(|source| failed("read", path, source))?;
        let found = file.metadata().map_err(|source| failed("read", path, source))?;
        if found.is_file() {
            if let Some(mode) = written_by_others(&found) {
                return Err(KeyFileError::Writable { path: path.to_owned(), mode });
            }
            warn_of_owner(path, &found);
        }
        let content = content(path, file)?;
        if content.secret.is_some() {
            return Err(KeyFileError::Secret { path: path.to_owned() });
        }
        public_of(path, &content)
    }

    /// Reads the files of a folder whose names end in `.pub`, sorted by name. Other files are ignored. If group or
    /// others can write the folder, or another user owns it, they can add keys: the folder is read, and a warning is
    /// logged.
    ///
    /// ```
    /// use mdp_runtime::security::{KeyPair, PublicKey};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let ann = KeyPair::create(folder.path(), "ann")?;
    /// assert_eq!(PublicKey::read_folder(folder.path())?, [*ann.public()]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The folder cannot be read, or one of the files is not a public key file.
    pub fn read_folder(folder: impl AsRef<Path>) -> Result<Vec<PublicKey>, KeyFileError> {
        let folder = folder.as_ref();
        let found = fs::metadata(folder).map_err(|source| failed("read", folder, source))?;
        // This is only a warning, because a Kubernetes volume's folder always has the mode 0777.
        if let Some(mode) = written_by_others(&found) {
            let (folder, mode) = (folder.display(), format!("{mode:04o}"));
            tracing::warn!(%folder, mode, "others can add keys to this folder; run `chmod go-w` on it");
        }
        warn_of_owner(folder, &found);
        let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = entries.map_err(|source| failed("read", folder, source))?;
        let mut paths: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "pub"));
        paths.sort();
        paths.iter().map(PublicKey::read).collect()
    }
}

impl KeyPair {
    /// Reads a secret key file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is a symbolic link or not a regular file, may be read or written by group or others,
    /// belongs to another user than this process's and root, or is not a secret key file. The error names the problem
    /// and the fix.
    pub fn read(path: impl AsRef<Path>) -> Result<KeyPair, KeyFileError> {
        let path = path.as_ref();
        let mut options = OpenOptions::new();
        // The checks below apply to the opened file, not to another file with the same name.
        options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = options.open(path).map_err(|source| match source.raw_os_error() {
            Some(libc::ELOOP) => KeyFileError::Symlink { path: path.to_owned() },
            _ => failed("read", path, source),
        })?;
        let found = file.metadata().map_err(|source| failed("read", path, source))?;
        let mode = found.mode() & 0o7777;
        if found.is_file() && mode & OTHERS != 0 {
            return Err(KeyFileError::Mode { path: path.to_owned(), mode });
        }
        check_owner(path, &found)?;
        let content = content(path, file)?;
        let Some(secret) = &content.secret else {
            return Err(format(path, format!("it has no line `{SECRET} = ..`")));
        };
        let secret = SecretKey::from_text(secret).map_err(|source| KeyFileError::Key {
            path: path.to_owned(),
            name: SECRET,
            source,
        })?;
        let pair = KeyPair::from_secret(secret);
        if public_of(path, &content)? != *pair.public() {
            return Err(KeyFileError::Mismatch { path: path.to_owned() });
        }
        Ok(pair)
    }

    /// Makes a new key pair and writes it to `NAME.pub` and `NAME.key` in a folder, each file completely or not at all.
    /// Only the owner can read the secret file. A name consists of letters, digits, `-`, `_` and `.`, and does not
    /// begin with `.`.
    ///
    /// ```
    /// use mdp_runtime::security::{KeyPair, PublicKey};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let made = KeyPair::create(folder.path(), "broker")?;
    /// assert_eq!(KeyPair::read(folder.path().join("broker.key"))?.public(), made.public());
    /// assert_eq!(PublicKey::read(folder.path().join("broker.pub"))?, *made.public());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The name is invalid, one of the files exists already or cannot be written, or the system returned no
    /// random bytes.
    pub fn create(folder: impl AsRef<Path>, name: &str) -> Result<KeyPair, KeyFileError> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || name.starts_with('.') || !name.bytes().all(good) {
            return Err(KeyFileError::Name { name: name.to_owned() });
        }
        KeyPair::create_at(&folder.as_ref().join(format!("{name}.key")))
    }

    /// Like [`create`](Self::create), with the path of the secret file; the public file goes next to it.
    pub(super) fn create_at(secret_path: &Path) -> Result<KeyPair, KeyFileError> {
        let public_path = secret_path.with_extension("pub");
        for path in [secret_path, &public_path] {
            if path.symlink_metadata().is_ok() {
                return Err(KeyFileError::Exists { path: path.to_owned() });
            }
        }
        let pair = KeyPair::new()?;
        let public = format!("{PUBLIC} = \"{}\"\n", pair.public());
        let secret = pair.secret().expose_text();
        let secret = Zeroizing::new(format!("{SECRET_HEADER}{public}{SECRET} = \"{}\"\n", *secret));
        write(secret_path, &secret, SECRET_MODE)?;
        write(&public_path, &format!("{PUBLIC_HEADER}{public}"), PUBLIC_MODE)?;
        Ok(pair)
    }
}

/// Refuses a secret key that another user owns. Root can read all files anyway.
fn check_owner(path: &Path, found: &Metadata) -> Result<(), KeyFileError> {
    let (owner, own) = (found.uid(), rustix::process::geteuid().as_raw());
    match found.is_file() && is_foreign(found) {
        true => Err(KeyFileError::Owner { path: path.to_owned(), owner, own }),
        false => Ok(()),
    }
}

/// The content of a key file.
#[derive(Default)]
struct Content {
    public: Option<Zeroizing<String>>,
    secret: Option<Zeroizing<String>>,
}

fn content(path: &Path, file: File) -> Result<Content, KeyFileError> {
    let found = file.metadata().map_err(|source| failed("read", path, source))?;
    if !found.is_file() {
        return Err(KeyFileError::NotAFile { path: path.to_owned() });
    }
    // The capacity holds the whole text: a growing string leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES + 64));
    let read = file.take(MAX_BYTES as u64 + 1).read_to_string(&mut text);
    read.map_err(|source| match source.kind() {
        io::ErrorKind::InvalidData => format(path, "it is not text".to_owned()),
        _ => failed("read", path, source),
    })?;
    if text.len() > MAX_BYTES {
        return Err(format(path, format!("it has more than {MAX_BYTES} bytes")));
    }
    parse(&text).map_err(|problem| format(path, problem))
}

/// Lines `name = "value"`, comments and empty lines. Errors do not show the content of a line.
fn parse(text: &str) -> Result<Content, String> {
    let mut content = Content::default();
    for (number, line) in text.lines().map(str::trim).enumerate() {
        let number = number + 1;
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let read = line.split_once('=').and_then(|(name, value)| {
            let value = value.trim().strip_prefix('"')?.strip_suffix('"')?;
            Some((name.trim(), Zeroizing::new(value.to_owned())))
        });
        let place = match &read {
            Some((PUBLIC, _)) => &mut content.public,
            Some((SECRET, _)) => &mut content.secret,
            _ => return Err(format!("line {number} is not `{PUBLIC} = \"..\"`")),
        };
        if place.is_some() {
            return Err(format!("line {number} gives a key for the second time"));
        }
        *place = read.map(|(_, value)| value);
    }
    Ok(content)
}

fn public_of(path: &Path, content: &Content) -> Result<PublicKey, KeyFileError> {
    let Some(text) = &content.public else {
        return Err(format(path, format!("it has no line `{PUBLIC} = ..`")));
    };
    text.parse().map_err(|source| KeyFileError::Key { path: path.to_owned(), name: PUBLIC, source })
}

/// Writes a file that must not exist yet. The text goes to a temporary name first, so an incomplete file never appears.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), KeyFileError> {
    let failed = |source| failed("write", path, source);
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let (mut file, unnamed) = Unnamed::create(folder, mode).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    unnamed.name(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Exists { path: path.to_owned() },
        _ => failed(error),
    })?;
    // The file's name must survive a crash too.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// A file under a temporary name, which is removed unless the file gets its own. An empty path: it has got it.
struct Unnamed(PathBuf);

impl Unnamed {
    /// The file is new: neither a file that is there is opened, nor a link followed. It never has more rights than `mode`.
    fn create(folder: &Path, mode: u32) -> io::Result<(File, Self)> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(mode);
        for _ in 0..TEMPORARY_NAMES {
            let path = folder.join(format!(".mdp-key-{:016x}", clock::seed()));
            match options.open(&path) {
                Ok(file) => return Ok((file, Unnamed(path))),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Gives the file its name, in one step. A file that has the name stays as it is, and this fails.
    fn name(mut self, path: &Path) -> io::Result<()> {
        if !rename_to_new(&self.0, path)? {
            // A link is not made over a file that is there, either.
            return fs::hard_link(&self.0, path);
        }
        // The temporary name is gone, and may be another's by now.
        self.0.clear();
        Ok(())
    }
}

/// Renames, but not over a file that is there. `false`: the system or the file system cannot do that.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn rename_to_new(from: &Path, to: &Path) -> io::Result<bool> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;

    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(Errno::NOSYS | Errno::INVAL | Errno::NOTSUP) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn rename_to_new(_: &Path, _: &Path) -> io::Result<bool> {
    Ok(false)
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            // What has failed is told already.
            let _ = fs::remove_file(&self.0);
        }
    }
}

fn failed(what: &'static str, path: &Path, source: io::Error) -> KeyFileError {
    KeyFileError::Io { what, path: path.to_owned(), source }
}

fn format(path: &Path, problem: String) -> KeyFileError {
    KeyFileError::Format { path: path.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a25_what_was_written_is_read_and_only_the_owner_can_read_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        let made = KeyPair::create(folder.path(), "a").unwrap();
        let (key, public) = (folder.path().join("a.key"), folder.path().join("a.pub"));
        assert_eq!(mode(&key), 0o600);
        assert_eq!(mode(&public) & 0o133, 0, "{:o}", mode(&public));
        let read = KeyPair::read(&key).unwrap();
        assert_eq!(read.secret().expose(), made.secret().expose());
        assert_eq!(PublicKey::read(&public).unwrap(), *made.public());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else is left");
        let text = fs::read_to_string(&public).unwrap();
        assert!(text.starts_with("# ") && !text.contains(SECRET), "{text}");
    }

    #[test]
    fn a25_a_secret_that_others_can_reach_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        KeyPair::create(folder.path(), "a").unwrap();
        let key = folder.path().join("a.key");
        for bad in [0o644, 0o640, 0o620, 0o604, 0o602, 0o610, 0o660, 0o777] {
            set_mode(&key, bad);
            let error = KeyPair::read(&key).unwrap_err();
            assert!(matches!(error, KeyFileError::Mode { mode, .. } if mode == bad), "{error}");
            let said = error.to_string();
            assert!(said.contains(&format!("chmod 600 {}", key.display())), "{said}");
            assert!(said.contains(&format!("{bad:04o}")), "{said}");
        }
        for good in [0o600, 0o400] {
            set_mode(&key, good);
            KeyPair::read(&key).unwrap();
        }
    }

    #[test]
    fn a25_a_link_a_folder_and_a_pipe_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        KeyPair::create(folder.path(), "a").unwrap();
        let link = folder.path().join("link.key");
        symlink(folder.path().join("a.key"), &link).unwrap();
        assert!(matches!(KeyPair::read(&link), Err(KeyFileError::Symlink { .. })));
        set_mode(folder.path(), 0o700);
        assert!(matches!(KeyPair::read(folder.path()), Err(KeyFileError::NotAFile { .. })));
        assert!(matches!(PublicKey::read(folder.path()), Err(KeyFileError::NotAFile { .. })));
        let pipe = folder.path().join("pipe.key");
        let made = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&pipe).status();
        assert!(made.unwrap().success());
        assert!(matches!(KeyPair::read(&pipe), Err(KeyFileError::NotAFile { .. })));
        assert!(matches!(PublicKey::read(&pipe), Err(KeyFileError::NotAFile { .. })));
        assert!(matches!(KeyPair::read("/no/such"), Err(KeyFileError::Io { .. })));
    }

    #[test]
    fn a25_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let public = folder.path().join("a.pub");
        let key = folder.path().join("a.key");
        for taken in [&public, &key] {
            fs::write(taken, "mine").unwrap();
            let error = KeyPair::create(folder.path(), "a").unwrap_err();
            assert!(matches!(&error, KeyFileError::Exists { path } if path == taken), "{error}");
            assert_eq!(fs::read_to_string(taken).unwrap(), "mine");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
            fs::remove_file(taken).unwrap();
        }
        // A link without a target is not followed.
        symlink(folder.path().join("elsewhere"), &key).unwrap();
        assert!(matches!(KeyPair::create(folder.path(), "a"), Err(KeyFileError::Exists { .. })));
        // Of several concurrent callers, exactly one succeeds.
        let made: Vec<bool> = std::thread::scope(|scope| {
            let one = || scope.spawn(|| KeyPair::create(folder.path(), "b").is_ok());
            let all: Vec<_> = (0..8).map(|_| one()).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(made.iter().filter(|made| **made).count(), 1, "{made:?}");
        let pair = KeyPair::read(folder.path().join("b.key")).unwrap();
        assert_eq!(PublicKey::read(folder.path().join("b.pub")).unwrap(), *pair.public());
    }

    #[test]
    fn a42_a_public_key_that_others_can_replace_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let made = KeyPair::create(folder.path(), "a").unwrap();
        let public = folder.path().join("a.pub");
        for bad in [0o666, 0o664, 0o646, 0o622] {
            set_mode(&public, bad);
            for error in [PublicKey::read(&public).err(), PublicKey::read_folder(&folder).err()] {
                let error = error.unwrap();
                let is_it = matches!(error, KeyFileError::Writable { mode, .. } if mode == bad);
                assert!(is_it && error.to_string().contains("chmod go-w "), "{error}");
            }
        }
        set_mode(&public, 0o644);
        // Only a warning is logged for the folder.
        set_mode(folder.path(), 0o777);
        assert_eq!(PublicKey::read_folder(&folder).unwrap(), [*made.public()]);
    }

    #[test]
    fn a42_a_secret_of_another_user_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        KeyPair::create(folder.path(), "a").unwrap();
        let key = folder.path().join("a.key");
        KeyPair::read(&key).unwrap();
        // Only root can change a file's owner, and root could read it.
        if std::os::unix::fs::chown(&key, Some(65_533), None).is_ok() {
            let error = KeyPair::read(&key).unwrap_err();
            assert!(matches!(error, KeyFileError::Owner { owner: 65_533, .. }), "{error}");
            assert!(error.to_string().contains(&format!("{}", key.display())), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_too_long_is_refused_and_not_cut() {
        let folder = tempfile::tempdir().unwrap();
        KeyPair::create(folder.path(), "a").unwrap();
        let public = folder.path().join("a.pub");
        let text = fs::read_to_string(&public).unwrap();
        let rest = |len: usize| format!("{text}#{}", "x".repeat(len - text.len() - 1));
        fs::write(&public, rest(MAX_BYTES)).unwrap();
        PublicKey::read(&public).unwrap();
        fs::write(&public, rest(MAX_BYTES + 1)).unwrap();
        assert!(matches!(PublicKey::read(&public), Err(KeyFileError::Format { .. })));
    }

    #[test]
    fn a_file_that_is_no_key_file_is_refused_without_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let pair = KeyPair::create(folder.path(), "a").unwrap();
        let other = KeyPair::create(folder.path(), "b").unwrap();
        let (public, secret) = (pair.public(), pair.secret().expose_text());
        let path = folder.path().join("c.key");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            set_mode(&path, 0o600);
            KeyPair::read(&path).map(|pair| *pair.public())
        };
        let secret_line = format!("secret-key = \"{}\"", *secret);
        let good = format!("\n # x\npublic-key=\"{public}\"\n  {secret_line}  \n");
        assert_eq!(read(&good).unwrap(), *public);
        for bad in [
            String::new(),
            format!("public-key = \"{public}\""),
            secret_line.clone(),
            format!("{good}{secret_line}"),
            format!("{good}{}", *secret),
            format!("{good}other = \"{}\"", *secret),
            format!("public-key = \"{public}\"\nsecret-key = {}", *secret),
            format!("public-key = \"{public}\"\nsecret-key = \"{}x\"", *secret),
            format!("public-key = \"{}\"\n{secret_line}", other.public()),
        ] {
            let error = read(&bad).unwrap_err();
            assert!(!format!("{error} {error:?}").contains(secret.as_str()), "{error}");
        }
        fs::write(&path, [0xff; 10]).unwrap();
        assert!(matches!(KeyPair::read(&path), Err(KeyFileError::Format { .. })));
        let error = PublicKey::read(folder.path().join("a.key")).unwrap_err();
        assert!(matches!(error, KeyFileError::Secret { .. }), "{error}");
        fs::remove_file(&path).unwrap();
        let all = [*public, *other.public()];
        assert_eq!(PublicKey::read_folder(folder.path()).unwrap(), all, "by name");
        for name in ["", "..", "a/b", "../c", "a\0b"] {
            let error = KeyPair::create(folder.path(), name).unwrap_err();
            assert!(matches!(error, KeyFileError::Name { .. }), "{error}");
        }
    }
}
