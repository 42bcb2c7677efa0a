//! Sets of descriptors, and texts, that nobody has checked, through the generator: it gives code or problems, and does not
//! panic. A panic of a library is one of the problems.
#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

/// The folder for what is generated. It is memory, where the system has such a folder.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        // libFuzzer ends the process at any panic; those that are caught are none here.
        std::panic::set_hook(Box::new(|_| {}));
        let memory = Path::new("/dev/shm");
        let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        made.expect("a temporary folder")
    });
    folder.path()
}

fuzz_target!(|input: &[u8]| {
    let folder = folder();
    let builder = || mdp_codegen::configure().out_dir(folder).emit_rerun_if_changed(false);
    // A text begins with a letter or a comment; a set begins with its first field.
    let result = if input.first().is_some_and(|byte| *byte != b'\n') {
        let file = folder.join("a.proto");
        std::fs::write(&file, input).expect("a file can be written");
        builder().compile_protos(&["a.proto"], &[folder])
    } else {
        builder().compile_encoded_fds(input)
    };
    if let Err(error) = result {
        assert!(!error.to_string().is_empty());
    }
});
