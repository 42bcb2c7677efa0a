//! Generated code under `deny(warnings)`, from the `.proto` files in `proto/` and one that `build.rs` writes.

#![deny(warnings)]
#![deny(rustdoc::all)]
// A .proto file need not comment on everything, and a test crate need not hide its modules.
#![allow(missing_docs, rustdoc::missing_crate_level_docs)]

pub mod elsewhere;

/// All packages, each in its own module.
pub mod pb {
    include!(concat!(env!("OUT_DIR"), "/all.rs"));
}

/// One package alone, as most people include it; nothing of it is used.
// The lint is off by default; prost's messages are `pub` wherever they are.
#[allow(unreachable_pub)]
mod alone {
    mdp_runtime::include_proto!("many");
}

/// Packages by their names in the `.proto` files: no module of Rust is called so.
#[allow(unreachable_pub)]
pub mod by_name {
    /// `generated` is the outermost part of a package that another one uses.
    pub mod generated {
        /// A keyword.
        pub mod r#type {
            /// The package.
            pub mod v1 {
                mdp_runtime::include_proto!("generated.type.v1");
            }
        }
    }
    /// Camel case.
    pub mod generated_defaults {
        mdp_runtime::include_proto!("generatedDefaults");
    }
    /// Files without a package.
    pub mod none {
        mdp_runtime::include_proto!();
    }
}

/// A service without messages of its own, where not even `Option` and `Send` have names.
// prost's messages need the prelude, so this is as far as it goes.
#[no_implicit_prelude]
pub mod strict {
    ::core::include!(::core::concat!(::core::env!("OUT_DIR"), "/elsewhere.rs"));
}
