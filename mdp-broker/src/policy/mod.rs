//! The policy: the rights to call, to serve and to manage, from a file or made in the program.

mod file;
mod watch;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use mdp_protocol::policy as core;

use mdp_transport::security::{AllowList, PublicKey};
use mdp_transport::wait_until_settled;

pub use file::PolicyError;
pub(crate) use watch::{WATCH, Watch};

/// The rights of peers at a broker. A peer that the policy does not name may do nothing.
///
/// Principals are identified by the keys of their connections ([CURVE](crate::BrokerBuilder::curve)). With a policy,
/// these keys may connect, regardless of the previous [`AllowList`]. The broker checks the policy for each message, so
/// a new policy ([`Broker::set_policy`](crate::Broker::set_policy), or a changed file) applies at once, to connected
/// peers too.
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
    /// Reads a policy file. Waits until 350 ms after the file's last change, so that an unfinished file is not read.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is not a policy (the error has the line, the problem and the correct form), has no
    /// table, was written while it was being read, or can be written by group or others.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, PolicyError> {
        let path = path.as_ref();
        wait_until_settled(path);
        file::read_now(path).map(|(policy, _)| policy)
    }

    /// Reads a policy from text in the format of the file. Empty text is a policy that allows nothing, because a
    /// program's text is complete; an empty file is refused ([`read`](Self::read)).
    ///
    /// # Errors
    ///
    /// The text is not a valid policy.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        file::parse(Path::new("(text)"), text)
    }

    /// Lets exactly the keys connect that have rights in this policy.
    pub(crate) fn admit(&self, list: &AllowList) {
        match self.core.takes_anyone() {
            true => list.set_anybody(),
            false => list.set(self.core.keys().map(|key| PublicKey::from_bytes(*key))),
        }
    }

    /// Returns the names of all entries: each `[[principal]]` in the order of the file, then `anonymous` and `anyone`
    /// if the file has these tables.
    pub fn principals(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("principals", &self.names).finish_non_exhaustive()
    }
}
