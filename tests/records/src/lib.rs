//! Records of every shape, and what prost makes of the same schema.

#![deny(warnings)]

pub mod records;

/// What prost makes of `proto/shapes.proto`.
#[allow(missing_docs)]
pub mod pb {
    mdp_runtime::include_proto!("shapes.v1");
}
