//! Records of every shape, and what prost makes of the same schema.

#![deny(warnings)]

pub mod records;
pub mod types;

/// What prost makes of `proto/shapes.proto`.
#[allow(missing_docs)]
pub mod pb {
    mdp_runtime::include_proto!("shapes.v1");
}

/// What prost makes of `proto/types.proto`.
#[allow(missing_docs)]
pub mod pb_types {
    mdp_runtime::include_proto!("types.v1");
}
