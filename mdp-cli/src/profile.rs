//! Profiles: settings for connections to brokers, in a file of the user.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use mdp_runtime::security::{UntrustedFile, read_trusted};
use serde::Deserialize;

/// The file, below the user's configuration directory.
const FILE: &str = "mdp/profiles.toml";

/// Settings for the connection to one broker. Missing settings have the program's defaults.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// The broker's endpoints, tried in turn.
    #[serde(default)]
    pub(crate) endpoint: Vec<String>,
    /// The broker's public key, as text or as a .pub file. A file is looked up in the folder of the profiles.
    pub(crate) server_key: Option<String>,
    /// The user's own .key file, in the folder of the profiles unless the path is absolute.
    pub(crate) key: Option<PathBuf>,
}

/// The reason why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProfileError {
    #[error(
        "there is no home directory, and so no place for profiles; set HOME or XDG_CONFIG_HOME"
    )]
    NoHome,
    #[error("the profile `{name}` cannot be used, because the profiles were not read")]
    Read { name: String, source: UntrustedFile },
    #[error("the profiles in {} are wrong", path.display())]
    Wrong { path: PathBuf, source: Box<toml::de::Error> },
    #[error("{} has no profile `{name}`; it has {known}", path.display())]
    Unknown { name: String, path: PathBuf, known: String },
}

impl Profile {
    /// Returns the profile with this name. Relative paths start at the folder of the profiles file.
    pub(crate) fn find(name: &str) -> Result<Self, ProfileError> {
        let base = etcetera::choose_base_strategy().map_err(|_| ProfileError::NoHome)?;
        let path = base.config_dir().join(FILE);
        let text = read_trusted(&path);
        let text = text.map_err(|source| ProfileError::Read { name: name.to_owned(), source })?;
        Self::of(name, &path, &text)
    }

    fn of(name: &str, path: &Path, text: &str) -> Result<Self, ProfileError> {
        let profiles = toml::from_str(text);
        let mut profiles: BTreeMap<String, Profile> = profiles.map_err(|source| {
            ProfileError::Wrong { path: path.to_owned(), source: Box::new(source) }
        })?;
        let Some(mut profile) = profiles.remove(name) else {
            let known: Vec<String> = profiles.into_keys().collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(ProfileError::Unknown {
                name: name.to_owned(),
                path: path.to_owned(),
                known,
            });
        };
        let folder = path.parent().unwrap_or(Path::new("."));
        profile.key = profile.key.map(|key| folder.join(key));
        profile.server_key = profile.server_key.map(|key| match folder.join(&key) {
            // The text may be a key. If a file with this name exists, the file is used.
            file if file.is_file() => file.display().to_string(),
            _ => key,
        });
        Ok(profile)
    }
}
