//! Hands the place of the libsodium that cargo has just built on to `src/lib.rs`.

use std::env;

fn main() {
    for name in ["DEP_SODIUM_LIB", "DEP_SODIUM_INCLUDE"] {
        println!("cargo:rerun-if-env-changed={name}");
        // Absent only where libsodium came from the system without saying where it is;
        // `Build::build` then says so.
        if let Ok(place) = env::var(name) {
            println!("cargo:rustc-env=MDP_{name}={place}");
        }
    }
}
