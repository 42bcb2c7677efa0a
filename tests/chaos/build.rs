//! Generates the client and the worker trait.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    mdp_codegen::compile_protos(&["proto/chaos.proto"], &["proto"])?;
    Ok(())
}
