//! Generates the clients and the worker traits.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    mdp_codegen::compile_protos(&["proto/cloudlog.proto"], &["proto"])?;
    Ok(())
}
