//! Generates the service twice: as the worker knows it, and as a newer client does.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let file = "mdp/testing/v1/testing.proto";
    mdp_codegen::compile_protos(&[format!("proto/{file}")], &["proto"])?;
    let newer = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?).join("newer");
    fs::create_dir_all(&newer)?;
    mdp_codegen::configure()
        .out_dir(&newer)
        .build_worker(false)
        .compile_protos(&[format!("newer/{file}")], &["newer"])?;
    Ok(())
}
