//! The policy file: TOML, and errors with the line and the problem.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mdp_protocol::names;
use mdp_protocol::policy::{self as core, Grant, Pattern, PeerKey, Quota};
use serde::Deserialize;
use toml::Spanned;

use super::Policy;
use mdp_transport::Mark;
use mdp_transport::security::{PublicKey, UntrustedFile};

/// The maximum length of a principal's name, which is sent with a peer's id.
const LONGEST_NAME: usize = 64;

/// The error of reading a policy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The file cannot be read.
    #[error("the policy {} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file has an invalid entry.
    #[error("{}:{line}: {message}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The problem, and the correct form.
        message: String,
    },
    /// The file is not a regular file, was written while it was being read, or can be written by group or others.
    #[error("the policy was not read: {0}")]
    Untrusted(UntrustedFile),
    /// The file has no table: it is empty or incomplete. Such a policy would refuse every peer.
    #[error("the policy {} grants nothing to anybody: it has no `[[principal]]`, no `[anyone]` and no `[anonymous]`; if it is being written, write the new text to another file and rename that one; if no peer may do anything, write only `[anonymous]`", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// There is no file to read again: the broker's policy did not come from a file, or the broker has no policy.
    #[error("the broker has no policy file that could be read again")]
    NoFile,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    principal: Vec<Named>,
    anonymous: Option<Rights>,
    anyone: Option<Rights>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: Spanned<String>,
    keys: Vec<Spanned<String>>,
    #[serde(default)]
    call: Vec<Spanned<String>>,
    #[serde(default)]
    serve: Vec<Spanned<String>>,
    #[serde(default)]
    manage: bool,
    #[serde(default)]
    drain: bool,
    calls_in_flight: Option<usize>,
    calls_per_second: Option<u32>,
    queued_bytes: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rights {
    #[serde(default)]
    call: Vec<Spanned<String>>,
    #[serde(default)]
    serve: Vec<Spanned<String>>,
    #[serde(default)]
    manage: bool,
    #[serde(default)]
    drain: bool,
    calls_in_flight: Option<usize>,
    calls_per_second: Option<u32>,
    queued_bytes: Option<usize>,
}

/// Reads an existing file; the mark identifies the version that was read.
pub(super) fn read_now(path: &Path) -> Result<(Policy, Mark), PolicyError> {
    let (text, mark) = mdp_transport::read_now(path).map_err(|error| match error {
        UntrustedFile::Io { path, source } => PolicyError::Read { path, source },
        error => PolicyError::Untrusted(error),
    })?;
    let policy = parse(path, &text)?;
    match policy.names.is_empty() {
        true => Err(PolicyError::Empty { path: path.to_owned() }),
        false => Ok((policy, mark)),
    }
}

pub(super) fn parse(path: &Path, text: &str) -> Result<Policy, PolicyError> {
    let reader = Reader { path, text };
    let file: File = toml::from_str(text)
        .map_err(|error| reader.wrong(error.span().unwrap_or_default(), error.message()))?;
    let mut policy = core::Policy::new();
    let mut names = Vec::new();
    let mut taken = BTreeSet::from(["anonymous", "anyone"]);
    for principal in &file.principal {
        let name = principal.name.get_ref();
        reader.check_name(&principal.name)?;
        if !taken.insert(name) {
            return Err(reader.wrong(principal.name.span(), &format!("there are two `{name}`")));
        }
        let grant = Arc::new(reader.named(principal)?);
        for key in &principal.keys {
            if let Some(other) = policy.grant(reader.key(key)?, &grant) {
                let other = String::from_utf8_lossy(&other);
                let message = format!("the key is already that of `{other}`");
                return Err(reader.wrong(key.span(), &message));
            }
        }
        names.push(name.clone());
    }
    if let Some(rights) = &file.anonymous {
        policy.grant_anonymous(Arc::new(reader.rights("anonymous", rights)?));
        names.push("anonymous".into());
    }
    if let Some(rights) = &file.anyone {
        policy.grant_anyone(Arc::new(reader.rights("anyone", rights)?));
        names.push("anyone".into());
    }
    Ok(Policy { core: Arc::new(policy), names: names.into() })
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Reader<'_> {
    fn wrong(&self, span: Range<usize>, message: &str) -> PolicyError {
        let before = self.text.get(..span.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        PolicyError::Wrong { path: self.path.to_owned(), line, message: message.to_owned() }
    }

    fn check_name(&self, name: &Spanned<String>) -> Result<(), PolicyError> {
        let text = name.get_ref();
        names::check(text.as_bytes())
            .map_err(|error| self.wrong(name.span(), &error.to_string()))?;
        if text.len() > LONGEST_NAME {
            let message = format!("the name has {} bytes; at most {LONGEST_NAME} fit", text.len());
            return Err(self.wrong(name.span(), &message));
        }
        Ok(())
    }

    fn named(&self, named: &Named) -> Result<Grant, PolicyError> {
        let quota = Quota {
            calls_in_flight: named.calls_in_flight,
            calls_per_second: named.calls_per_second,
            queued_bytes: named.queued_bytes,
        };
        let (call, serve) = (self.patterns(&named.call)?, self.patterns(&named.serve)?);
        let Named { manage, drain, .. } = *named;
        let name = Arc::from(named.name.get_ref().as_bytes());
        Ok(Grant { name, call, serve, manage, drain, quota })
    }

    fn rights(&self, name: &str, rights: &Rights) -> Result<Grant, PolicyError> {
        let quota = Quota {
            calls_in_flight: rights.calls_in_flight,
            calls_per_second: rights.calls_per_second,
            queued_bytes: rights.queued_bytes,
        };
        let (call, serve) = (self.patterns(&rights.call)?, self.patterns(&rights.serve)?);
        let Rights { manage, drain, .. } = *rights;
        Ok(Grant { name: Arc::from(name.as_bytes()), call, serve, manage, drain, quota })
    }

    fn patterns(&self, texts: &[Spanned<String>]) -> Result<Vec<Pattern>, PolicyError> {
        let pattern = |text: &Spanned<String>| {
            Pattern::new(text.get_ref()).ok_or_else(|| {
                let message = format!(
                    "`{}` is not a pattern: write a service's name, or its beginning and `*` at the end",
                    text.get_ref()
                );
                self.wrong(text.span(), &message)
            })
        };
        texts.iter().map(pattern).collect()
    }

    fn key(&self, text: &Spanned<String>) -> Result<PeerKey, PolicyError> {
        let key: Result<PublicKey, _> = text.get_ref().parse();
        key.map(|key| *key.as_bytes()).map_err(|_| {
            let message = "the key is none: a public key has 40 characters of Z85, as \
                           `mdp keys show` prints it";
            self.wrong(text.span(), message)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use mdp_protocol::Identity;

    use super::*;

    const KEY: &str = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
    const OTHER: &str = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";

    #[test]
    fn a_file_is_who_may_do_what() {
        let text = format!(
            "[[principal]]\nname = \"shop\"\nkeys = [\"{KEY}\", \"{OTHER}\"]\ncall = [\"a.*\"]\n\
             serve = [\"b.B\"]\nmanage = true\ndrain = true\nqueued_bytes = 7\n[anyone]\ncall = [\"c.C\"]\n"
        );
        let policy = Policy::parse(&text).unwrap();
        let mut key: PeerKey = [0; 32];
        assert!(mdp_protocol::z85::decode(OTHER.as_bytes(), &mut key));
        let grant = policy.core.of(&Identity::of_key(key)).unwrap();
        assert!(grant.may_call(b"a.A") && !grant.may_call(b"b.B") && grant.may_serve(b"b.B"));
        assert!(grant.manage && grant.drain && grant.quota.queued_bytes == Some(7));
        assert!(policy.core.of(&Identity::of_key([7; 32])).unwrap().may_call(b"c.C"));
        assert!(policy.core.of(&Identity::anonymous()).is_none());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let good = format!("[[principal]]\nname = \"shop\"\nkeys = [\"{KEY}\"]\n");
        let cases = [
            ("[[principal]]\nname = \"two words\"\nkeys = []\n".into(), 2, "0x20"),
            ("[[principal]]\nname = \"a\"\nkeys = [\"short\"]\n".into(), 3, "40 characters"),
            (good.replace("rq:", "r\u{7e}:"), 3, "40 characters"),
            ("[[principal]]\nname = \"a\"\nkeys = []\ncall = [\"a*b\"]\n".into(), 4, "`a*b` is no"),
            ("[[principal]]\nname = \"a\"\n".into(), 1, "missing field `keys`"),
            ("[anonymous]\nname = \"a\"\n".into(), 2, "unknown field `name`"),
            ("\n\n[anonymous\n".into(), 3, ""),
            (format!("{good}{good}"), 5, "two `shop`"),
            (good.clone() + &good.replace("shop", "other"), 6, "already that of `shop`"),
        ];
        for (text, at, words) in cases {
            match Policy::parse(&text) {
                Err(PolicyError::Wrong { line, message, .. }) => {
                    assert!(line == at && message.contains(words), "{line}: {message}, of {text}");
                }
                other => panic!("{other:?}, of {text}"),
            }
        }
        let gone = Policy::read("/nowhere/policy.toml").unwrap_err().to_string();
        assert!(gone.starts_with("the policy /nowhere/policy.toml cannot be read: "), "{gone}");
    }

    #[test]
    fn a37_a_file_that_names_nobody_is_no_policy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.toml");
        // The mode is set regardless of the umask.
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        for empty in ["", "\n", "# who may do what\n", "principal = []\n"] {
            std::fs::write(&path, empty).unwrap();
            let error = read_now(&path).unwrap_err();
            assert!(matches!(&error, PolicyError::Empty { path: of } if *of == path), "{error}");
            assert!(error.to_string().contains("rename"), "{error}");
            // A program's text is always complete.
            assert_eq!(Policy::parse(empty).unwrap().principals().count(), 0);
        }
        for nothing in ["[anonymous]\n", "[anyone]\ncall = []\n"] {
            std::fs::write(&path, nothing).unwrap();
            assert_eq!(read_now(&path).unwrap().0.principals().count(), 1);
        }
    }

    #[test]
    fn a42_a_policy_that_others_can_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.toml");
        std::fs::write(&path, "[anonymous]\ncall = ['*']\n").unwrap();
        for (mode, good) in [(0o666, false), (0o664, false), (0o646, false), (0o644, true)] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            match Policy::read(&path) {
                Ok(_) => assert!(good, "{mode:o}"),
                Err(error @ PolicyError::Untrusted(UntrustedFile::Mode { .. })) => {
                    assert!(!good && error.to_string().contains("chmod go-w "), "{error}");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}
