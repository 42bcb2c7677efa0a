//! The golden vectors of `docs/vectors`: how the text files are read, written and found.
//!
//! A file is a row of blocks. A block begins with `name:`, goes on with other `key: value` lines and
//! ends with its bytes:
//!
//! ```text
//! name: request-plain
//! direction: client to broker
//! record: REQUEST call=1 timeout_ms=10000 attempt=1 path="auth.v1.Auth/Login" payload="hi"
//! bytes:
//! d3 01                    # signature, version
//! ...
//! frame:                   # one for each payload frame
//! 68 69
//! ```
//!
//! `encode: no` marks bytes that a reader takes and a writer never makes. `limits:` lowers limits,
//! `error:` is the exact message of what is refused, `answer:` what the broker says to the sender.

pub(crate) mod dump;
pub(crate) mod text;

use std::fs;
use std::path::{Path, PathBuf};

use mdp_protocol::Limits;

/// One golden message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) direction: String,
    /// The records, as text.
    pub(crate) records: Vec<String>,
    /// Whether a writer makes these very bytes.
    pub(crate) decode_only: bool,
    pub(crate) limits: Limits,
    pub(crate) error: Option<String>,
    pub(crate) answer: Option<String>,
    pub(crate) packet: Vec<u8>,
    pub(crate) frames: Vec<Vec<u8>>,
}

impl Vector {
    pub(crate) fn frame_lens(&self) -> Vec<usize> {
        self.frames.iter().map(Vec::len).collect()
    }

    /// Whether the packet is one that both sides agree on.
    pub(crate) fn is_good(&self) -> bool {
        self.error.is_none()
    }
}

/// A file of vectors: each block's lines up to `bytes:` as they stand, and what they mean.
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) preamble: String,
    pub(crate) blocks: Vec<(String, Vector)>,
}

pub(crate) fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// All files, in the order of their names.
pub(crate) fn load() -> Vec<File> {
    let dir = docs().join("vectors");
    let entries = fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    assert!(!paths.is_empty(), "{} holds no vectors", dir.display());
    paths.into_iter().map(load_file).collect()
}

pub(crate) fn load_vectors() -> Vec<Vector> {
    load().into_iter().flat_map(|file| file.blocks).map(|(_, vector)| vector).collect()
}

fn load_file(path: PathBuf) -> File {
    let content = fs::read_to_string(&path).unwrap();
    let mut file = File { path, preamble: String::new(), blocks: Vec::new() };
    let mut section = Section::Head;
    for (number, line) in content.lines().enumerate() {
        if line.starts_with("name:") {
            section = Section::Head;
            file.blocks.push(Default::default());
        }
        let Some((head, vector)) = file.blocks.last_mut() else {
            file.preamble.push_str(line);
            file.preamble.push('\n');
            continue;
        };
        let place = || format!("{}:{}", file.path.display(), number + 1);
        match section {
            Section::Head => {
                if line != "bytes:" {
                    head.push_str(line);
                    head.push('\n');
                }
                section = header(line, vector).unwrap_or_else(|e| panic!("{}: {e}", place()));
            }
            Section::Packet | Section::Frame if line == "frame:" => {
                vector.frames.push(Vec::new());
                section = Section::Frame;
            }
            Section::Packet => hex(line, &mut vector.packet, &place()),
            Section::Frame => hex(line, vector.frames.last_mut().unwrap(), &place()),
        }
    }
    file
}

enum Section {
    Head,
    Packet,
    Frame,
}

fn header(line: &str, vector: &mut Vector) -> Result<Section, String> {
    let line = line.trim_end();
    if line.is_empty() || line.starts_with('#') {
        return Ok(Section::Head);
    }
    let (key, value) = line.split_once(':').ok_or("this line is no `key: value`")?;
    let value = value.trim();
    match key {
        "name" => vector.name = value.into(),
        "direction" => vector.direction = value.into(),
        "record" => vector.records.push(value.into()),
        "encode" => vector.decode_only = value == "no",
        "limits" => limits(value, &mut vector.limits)?,
        "error" => vector.error = Some(value.into()),
        "answer" => vector.answer = Some(value.into()),
        "bytes" => return Ok(Section::Packet),
        _ => return Err(format!("`{key}` is no key")),
    }
    Ok(Section::Head)
}

fn limits(value: &str, limits: &mut Limits) -> Result<(), String> {
    for entry in value.split_whitespace() {
        let (name, number) = entry.split_once('=').ok_or("a limit reads `name=number`")?;
        let number = number.parse().map_err(|e| format!("{entry}: {e}"))?;
        match name {
            "frame_bytes" => limits.frame_bytes = number,
            "frames" => limits.frames = number,
            "records" => limits.records = number,
            _ => return Err(format!("`{name}` is no limit of a message")),
        }
    }
    Ok(())
}

fn hex(line: &str, into: &mut Vec<u8>, place: &str) {
    let bytes = line.split('#').next().unwrap_or_default();
    for byte in bytes.split_whitespace() {
        let byte = u8::from_str_radix(byte, 16).unwrap_or_else(|e| panic!("{place}: {byte}: {e}"));
        into.push(byte);
    }
}
