//! Makes the client and the worker of `proto/bench.proto`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    mdp_codegen::configure().bytes(".").compile_protos(&["proto/bench.proto"], &["proto"])?;
    Ok(())
}
