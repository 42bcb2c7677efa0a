//! The CURVE settings of both sides, and how they reach a socket.

use std::fmt;
use std::path::Path;

use super::{AllowList, CurveUnavailable, KeyFileError, KeyPair, PublicKey};
/// The CURVE settings of the binding side: its key pair, and the keys whose connections it accepts. Default: no keys;
/// add some with [`allow`](Self::allow) or [`allow_list`](Self::allow_list).
///
/// ```
/// use mdp_runtime::security::{AllowList, CurveServer};
///
/// let folder = tempfile::tempdir()?;
/// // Made at the first start, read at all others.
/// let server = CurveServer::read_or_create(folder.path().join("broker.key"))?;
/// let server = server.allow_list(AllowList::anybody());
/// println!("{}", server.public_key());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct CurveServer {
    keys: KeyPair,
    allowed: AllowList,
    without_curve: bool,
}

impl CurveServer {
    /// Uses this key pair.
    pub fn new(keys: KeyPair) -> Self {
        CurveServer { keys, allowed: AllowList::nobody(), without_curve: false }
    }

    /// Uses the key pair of this secret key file.
    ///
    /// # Errors
    ///
    /// The errors of [`KeyPair::read`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, KeyFileError> {
        KeyPair::read(path).map(CurveServer::new)
    }

    /// Uses the key pair of this secret key file. If the file does not exist, this creates it, with the public key next
    /// to it in a file that ends in `.pub`.
    ///
    /// # Errors
    ///
    /// The errors of [`KeyPair::read`] and [`KeyPair::create`].
    pub fn read_or_create(path: impl AsRef<Path>) -> Result<Self, KeyFileError> {
        let path = path.as_ref();
        match path.symlink_metadata() {
            Ok(_) => CurveServer::read(path),
            // If another program was faster, its file is the one to read.
            Err(_) => match KeyPair::create_at(path) {
                Err(KeyFileError::Exists { path: taken }) if taken == path => {
                    CurveServer::read(path)
                }
                made => made.map(CurveServer::new),
            },
        }
    }

    /// Accepts connections with these keys too.
    pub fn allow(self, keys: impl IntoIterator<Item = PublicKey>) -> Self {
        keys.into_iter().for_each(|key| self.allowed.add(key));
        self
    }

    /// Replaces the accepted keys with this list, which may be changed later.
    pub fn allow_list(mut self, list: AllowList) -> Self {
        self.allowed = list;
        self
    }

    /// Returns the public key, which all connecting peers need.
    pub fn public_key(&self) -> PublicKey {
        *self.keys.public()
    }

    #[doc(hidden)]
    pub fn allowed(&self) -> &AllowList {
        &self.allowed
    }

    #[doc(hidden)]
    pub fn keys(&self) -> &KeyPair {
        &self.keys
    }

    #[doc(hidden)]
    pub fn check(&self, has_curve: bool) -> Result<(), CurveUnavailable> {
        check(has_curve && !self.without_curve)
    }

    /// Behaves as if libzmq had no CURVE.
    #[doc(hidden)]
    #[cfg(any(test, feature = "testing"))]
    pub fn without_curve(mut self) -> Self {
        self.without_curve = true;
        self
    }
}

impl fmt::Debug for CurveServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("CurveServer");
        shown.field("public_key", self.keys.public()).field("allowed", &self.allowed);
        shown.finish_non_exhaustive()
    }
}

/// The CURVE settings of the connecting side: the broker's public key, and its own key pair. Default: a new key pair
/// for this connection, which only a server that accepts every key accepts.
///
/// ```no_run
/// # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
/// use mdp_runtime::Client;
/// use mdp_runtime::security::{CurveClient, KeyPair, PublicKey};
///
/// let broker = PublicKey::read("broker.pub")?;
/// let client = Client::builder()
///     .connect("tcp://10.0.0.1:5555")
///     .curve(CurveClient::new(broker).key_pair(KeyPair::read("ann.key")?))
///     .open()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct CurveClient {
    own: Option<KeyPair>,
    servers: Vec<PublicKey>,
    without_curve: bool,
}

impl CurveClient {
    /// Uses this public key for all endpoints.
    pub fn new(server: PublicKey) -> Self {
        CurveClient::with_servers([server])
    }

    /// Uses these public keys, in the order of the endpoints: one for each endpoint, or one for all. While a broker
    /// changes its key, its endpoint may be added twice, once with each key.
    pub fn with_servers(servers: impl IntoIterator<Item = PublicKey>) -> Self {
        let servers = servers.into_iter().collect();
        CurveClient { own: None, servers, without_curve: false }
    }

    /// Sets the connecting side's own key pair, by which a broker's allow list or policy knows it. Default: a new pair for
    /// each client or worker that is built, which only a broker with `allow_any` accepts.
    pub fn key_pair(mut self, keys: KeyPair) -> Self {
        self.own = Some(keys);
        self
    }

    /// The keys for sockets to this many endpoints.
    #[doc(hidden)]
    pub fn prepare(&self, has_curve: bool, endpoints: usize) -> Result<ClientKeys, Unusable> {
        check(has_curve && !self.without_curve).map_err(Unusable::Unavailable)?;
        let keys = self.servers.len();
        if keys != 1 && keys != endpoints {
            return Err(Unusable::ServerKeys { keys, endpoints });
        }
        let own = match &self.own {
            Some(own) => own.clone(),
            None => KeyPair::new().map_err(Unusable::Unavailable)?,
        };
        Ok(ClientKeys { own, servers: self.servers.clone() })
    }

    /// Behaves as if libzmq had no CURVE.
    #[doc(hidden)]
    #[cfg(any(test, feature = "testing"))]
    pub fn without_curve(mut self) -> Self {
        self.without_curve = true;
        self
    }
}

impl fmt::Debug for CurveClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("CurveClient");
        shown.field("own", &self.own.as_ref().map(KeyPair::public)).field("servers", &self.servers);
        shown.finish_non_exhaustive()
    }
}

/// `has_curve`: whether the sockets can have CURVE.
fn check(has_curve: bool) -> Result<(), CurveUnavailable> {
    if has_curve { Ok(()) } else { Err(CurveUnavailable::Libzmq) }
}

/// The reason why CURVE cannot be used for connecting.
#[derive(Debug, PartialEq, Eq)]
pub enum Unusable {
    /// There is no CURVE.
    Unavailable(CurveUnavailable),
    /// The number of keys is neither one nor the number of endpoints.
    ServerKeys {
        /// The number of keys.
        keys: usize,
        /// The number of endpoints.
        endpoints: usize,
    },
}

/// The keys of the connecting side.
#[derive(Clone, Debug)]
pub struct ClientKeys {
    own: KeyPair,
    servers: Vec<PublicKey>,
}

impl ClientKeys {
    /// The connecting side's own key pair.
    pub fn own(&self) -> &KeyPair {
        &self.own
    }

    /// The public key of the endpoint with this number.
    pub fn server(&self, endpoint: usize) -> Option<&PublicKey> {
        match self.servers.as_slice() {
            [all] => Some(all),
            several => several.get(endpoint),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_key_for_each_endpoint_or_one_for_all() {
        let [a, b] = [(); 2].map(|()| *KeyPair::new().unwrap().public());
        let several = CurveClient::with_servers([a, b]);
        assert!(CurveClient::new(a).prepare(true, 3).is_ok());
        assert!(several.prepare(true, 2).is_ok());
        let wrong = |curve: CurveClient, endpoints| curve.prepare(true, endpoints).unwrap_err();
        assert_eq!(wrong(several.clone(), 3), Unusable::ServerKeys { keys: 2, endpoints: 3 });
        assert_eq!(wrong(several, 1), Unusable::ServerKeys { keys: 2, endpoints: 1 });
        let none = CurveClient::with_servers([]);
        assert_eq!(wrong(none, 1), Unusable::ServerKeys { keys: 0, endpoints: 1 });
        let unavailable = Unusable::Unavailable(CurveUnavailable::Libzmq);
        assert_eq!(wrong(CurveClient::new(a).without_curve(), 1), unavailable);
        assert_eq!(CurveClient::new(a).prepare(false, 1).unwrap_err(), unavailable);
    }

    #[test]
    fn a_server_makes_its_key_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("broker.key");
        let made = CurveServer::read_or_create(&path).unwrap().public_key();
        assert_eq!(CurveServer::read_or_create(&path).unwrap().public_key(), made);
        assert_eq!(CurveServer::read(&path).unwrap().public_key(), made);
        assert_eq!(PublicKey::read(folder.path().join("broker.pub")).unwrap(), made);
        // A public key without its secret key belongs to another owner, and is not overwritten.
        std::fs::remove_file(&path).unwrap();
        let error = CurveServer::read_or_create(&path).unwrap_err();
        assert!(matches!(error, KeyFileError::Exists { .. }), "{error}");
    }
}
