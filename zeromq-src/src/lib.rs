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
    /// With `MDP_ZEROMQ_SKIP` in the environment it does neither: for builds that are checked and never linked, as those of
    /// compile-fail tests, which would else compile libzmq once more each. A change of the variable rebuilds nothing.
    ///
    /// # Panics
    ///
    /// When libsodium's place is unknown: a build script has no other way to say so.
    pub fn build(&mut self) {
        if std::env::var_os("MDP_ZEROMQ_SKIP").is_some() {
            return;
        }
        let place = self.libsodium.clone().or_else(built_libsodium).unwrap_or_else(|| {
            panic!(
                "libsodium-sys-stable did not say where libsodium is; unset SODIUM_USE_PKG_CONFIG \
                 so that cargo builds it, or set SODIUM_LIB_DIR"
            )
        });
        let linux = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
        if linux {
            add_flags(LINUX);
        }
        upstream::Build::new().with_libsodium(Some(place)).build();
    }
}

/// What Linux has and libzmq's own build scripts would find out, but the crate's does not. Without the first two, threads wake
/// each other through a pair of sockets instead of an eventfd, which takes three times as long; without the third, timers follow the wall
/// clock when it is set; without the rest, children of the process inherit all sockets.
const LINUX: [&str; 5] = [
    "-DZMQ_HAVE_EVENTFD=1",
    "-DZMQ_HAVE_EVENTFD_CLOEXEC=1",
    "-DHAVE_CLOCK_GETTIME=1",
    "-DZMQ_HAVE_SOCK_CLOEXEC=1",
    "-DHAVE_ACCEPT4=1",
];

/// Adds flags to those that the crate `cc` takes from the environment: it heeds the first of these variables that is set.
fn add_flags(flags: [&str; 5]) {
    let target = std::env::var("TARGET").unwrap_or_default();
    let names = [
        format!("CXXFLAGS_{target}"),
        format!("CXXFLAGS_{}", target.replace('-', "_")),
        "TARGET_CXXFLAGS".to_owned(),
        "HOST_CXXFLAGS".to_owned(),
    ];
    let set = names.into_iter().find(|name| std::env::var_os(name).is_some());
    let name = set.unwrap_or_else(|| "CXXFLAGS".to_owned());
    let before = std::env::var(&name).unwrap_or_default();
    std::env::set_var(&name, format!("{before} {}", flags.join(" ")));
}

fn built_libsodium() -> Option<LibLocation> {
    let lib = option_env!("MDP_DEP_SODIUM_LIB")?;
    let include = option_env!("MDP_DEP_SODIUM_INCLUDE")?;
    Some(LibLocation::new(lib, include))
}
