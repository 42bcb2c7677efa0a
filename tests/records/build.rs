//! Makes prost's types of the `.proto` files that the records stand for.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    mdp_codegen::configure()
        .btree_map(".")
        .compile_protos(&["proto/shapes.proto", "proto/types.proto"], &["proto"])?;
    Ok(())
}
