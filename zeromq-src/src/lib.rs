//! The three calls that the build script of `zmq-sys` 0.12 makes, forwarded to `zeromq-src` 0.3
//! with libsodium switched on: libzmq 4.3.5 with CURVE, and nothing needed on the machine but a
//! C++ compiler. A workspace takes it in with `[patch.crates-io]`.

/// The place of a libsodium, which callers may name instead of the one built here.
pub use upstream::LibLocation;

/// Settings for building libzmq; the subset that `zmq-sys` uses.
#[derive(Debug, Clone, Default)]
pub struct Build {
    libsodium: Option<LibLocation>,
}

impl Build {
    /// A build with CURVE, over the libsodium that cargo built.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another libsodium to use; `None` means the one that cargo built, so CURVE is always on.
    pub fn with_libsodium(&mut self, place: Option<LibLocation>) -> &mut Self {
        self.libsodium = place;
        self
    }

    /// Compiles libzmq and prints the link lines for cargo.
    ///
    /// # Panics
    ///
    /// When libsodium's place is unknown: a build script has no other way to say so.
    pub fn build(&mut self) {
        let place = self.libsodium.clone().or_else(built_libsodium).unwrap_or_else(|| {
            panic!(
                "libsodium-sys-stable did not say where libsodium is; unset SODIUM_USE_PKG_CONFIG \
                 so that cargo builds it, or set SODIUM_LIB_DIR"
            )
        });
        upstream::Build::new().with_libsodium(Some(place)).build();
    }
}

fn built_libsodium() -> Option<LibLocation> {
    let lib = option_env!("MDP_DEP_SODIUM_LIB")?;
    let include = option_env!("MDP_DEP_SODIUM_INCLUDE")?;
    Some(LibLocation::new(lib, include))
}
