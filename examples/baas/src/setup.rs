//! A folder with the keys of all parts, and the policy that says which key may do what.

use std::fmt::Write;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use mdp_runtime::security::{CurveClient, CurveServer, KeyPair, PublicKey};

const BROKER: &str = "broker";
/// The principal of all Auth workers.
pub const AUTH: &str = "auth";
/// The principal of all Notes workers.
pub const NOTES: &str = "notes";
/// The devices from which users call. Tokens are bound to them.
pub const DEVICES: [&str; 2] = ["laptop", "phone"];

/// Where the keys and the policy lie. In earnest each part has its own key only, and the broker's public one.
#[derive(Clone, Debug)]
pub struct Setup {
    folder: PathBuf,
}

impl Setup {
    /// In a folder that has been made by [`create`](Self::create).
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Setup { folder: folder.into() }
    }

    /// Makes the keys and the policy in a folder.
    ///
    /// # Errors
    ///
    /// A file cannot be written, or is there already.
    pub fn create(folder: impl Into<PathBuf>) -> Result<Self> {
        let setup = Setup::at(folder);
        std::fs::create_dir_all(&setup.folder)
            .with_context(|| format!("{} cannot be made", setup.folder.display()))?;
        KeyPair::create(&setup.folder, BROKER)?;
        let mut policy = String::from(
            "# Tokens are worth what the Auth workers are: only their key may serve Auth.\n",
        );
        for (name, service) in [(AUTH, "baas.v1.Auth"), (NOTES, "baas.v1.Notes")] {
            setup.principal(&mut policy, name)?;
            writeln!(policy, "serve = [\"{service}\"]\n")?;
        }
        policy.push_str("# A name for each device: tokens are bound to it.\n");
        for name in DEVICES {
            setup.principal(&mut policy, name)?;
            writeln!(policy, "call = [\"baas.v1.*\"]\ncalls_per_second = 200\n")?;
        }
        // Whatever the umask says: a policy that others can write is refused.
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o644).open(setup.policy())?;
        file.write_all(policy.as_bytes())?;
        Ok(setup)
    }

    fn principal(&self, policy: &mut String, name: &str) -> Result<()> {
        let keys = KeyPair::create(&self.folder, name)?;
        writeln!(policy, "[[principal]]\nname = \"{name}\"\nkeys = [\"{}\"]", keys.public())?;
        Ok(())
    }

    /// The policy's file.
    pub fn policy(&self) -> PathBuf {
        self.folder.join("policy.toml")
    }

    /// CURVE for the broker.
    ///
    /// # Errors
    ///
    /// Its key cannot be read.
    pub fn server(&self) -> Result<CurveServer> {
        Ok(CurveServer::read(self.file(BROKER, "key"))?)
    }

    /// CURVE for who connects under this name.
    ///
    /// # Errors
    ///
    /// A key cannot be read.
    pub fn curve(&self, name: &str) -> Result<CurveClient> {
        let broker = PublicKey::read(self.file(BROKER, "pub"))?;
        Ok(CurveClient::new(broker).key_pair(KeyPair::read(self.file(name, "key"))?))
    }

    /// The public key of a part or a device.
    ///
    /// # Errors
    ///
    /// There is no such file, or it is none.
    pub fn public_key(&self, name: &str) -> Result<PublicKey> {
        Ok(PublicKey::read(self.file(name, "pub"))?)
    }

    fn file(&self, name: &str, kind: &str) -> PathBuf {
        Path::new(&self.folder).join(format!("{name}.{kind}"))
    }
}
