//! Who may call, serve and manage what: a policy, from a file or made in the program.

mod file;
mod watch;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use mdp_protocol::policy as core;

use crate::security::{AllowList, PublicKey, wait_until_settled};

pub use file::PolicyError;
pub(crate) use watch::{WATCH, Watch};

/// Who may do what at a broker. Whoever is not named in it may do nothing.
///
/// Principals are known by the keys of their connections ([CURVE](crate::BrokerBuilder::curve)); with a policy these keys
/// are the ones that are let in, whatever the [`AllowList`] said before. A policy is looked at for each message, so a new one ([`Broker::set_policy`](crate::Broker::set_policy), or a file that changes) counts at once,
/// for those who are connected, too.
///
/// ```
/// use mdp_runtime::Policy;
///
/// let policy = Policy::parse(r#"
///     [[principal]]
///     name = "shop"
///     keys = ["rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"]
///     call = ["auth.v1.*"]
///     serve = ["shop.v1.Shop"]
///     calls_per_second = 1000
///
///     [anonymous]                 # who has no key
///     call = ["status.v1.Status"]
/// "#)?;
/// assert_eq!(policy.principals().collect::<Vec<_>>(), ["shop", "anonymous"]);
/// # Ok::<(), mdp_runtime::PolicyError>(())
/// ```
#[derive(Clone)]
pub struct Policy {
    pub(crate) core: Arc<core::Policy>,
    names: Arc<[String]>,
}

impl Policy {
    /// Reads a policy file. Waits for up to 350 ms after the file's last change, so that a file that is being written
    /// counts when it is whole.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is not a policy (with the line, what is wrong and what to write), has no table, was
    /// written while it was read, or can be written by group or others.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, PolicyError> {
        let path = path.as_ref();
        wait_until_settled(path);
        file::read_now(path).map(|(policy, _)| policy)
    }

    /// Reads a policy from text in the form of the file. A program's text is whole, so an empty one is a policy: nobody
    /// may do anything. An empty file is refused ([`read`](Self::read)).
    ///
    /// # Errors
    ///
    /// The text is no policy.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        file::parse(Path::new("(text)"), text)
    }

    /// Lets those in who may do something, and no others.
    pub(crate) fn admit(&self, list: &AllowList) {
        match self.core.takes_anyone() {
            true => list.set_anybody(),
            false => list.set(self.core.keys().map(|key| PublicKey::from_bytes(*key))),
        }
    }

    /// The names of all entries: each `[[principal]]` in the order of the file, then `anonymous` and `anyone` if the file
    /// has these tables.
    pub fn principals(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("principals", &self.names).finish_non_exhaustive()
    }
}
