//! protox and prost-reflect, and what protoc takes and they do not.
//!
//! All that works around a fault of the two is here, and each can go when its fault is mended:
//!
//! | what protoc takes | here | upstream |
//! |---|---|---|
//! | a byte order mark | `rewrite` | protox |
//! | options of extension ranges with `verification`, as in today's `descriptor.proto` | `rewrite` | protox |
//! | `-inf` and `-nan` | `rewrite` | protox |
//! | editions | `rewrite`, then `editions` | andrewhickman/protox#31 |
//! | names whose first part is also a package that is not imported | `names` | andrewhickman/prost-reflect#57 had the same for names of one part |
//! | `host_name` and `hostname` in one message of proto3 | `pool` | prost-reflect |
//! | `fooBar` and `foo_bar` in one message of proto2 | `pool` | prost-reflect |
//! | options of today's `descriptor.proto` | `pool` | prost-reflect |
//! | deep nesting, which would overflow the stack | `nesting` | protox |
//! | a panic for a file | `caught` | both |

mod errors;
mod names;
mod pool;
mod rewrite;
mod text;

use std::panic::{AssertUnwindSafe, catch_unwind};

use prost_types::FileDescriptorProto;
use protox::file::File;

pub(super) use errors::problem_at;
pub(super) use names::{Kind, Names};
pub(super) use pool::Pool;

use self::rewrite::rewrite;
use super::editions::Edition;
use crate::errors::{Mistake, Problem};
use crate::model::Place;

/// The name of the option that stands for `default` in a file of an edition.
pub(super) const DEFAULT: &str = rewrite::DEFAULT;

/// A text that was parsed.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) file: FileDescriptorProto,
    /// The text that the positions in `file` belong to.
    pub(super) text: String,
    pub(super) edition: Option<Edition>,
}

/// protoc allows 32 messages in each other.
const MAX_NESTING: usize = 100;

/// Parses a text.
pub(super) fn parse(name: &str, text: &str) -> Result<Parsed, Vec<Problem>> {
    if let Some(line) = text::too_deep(text, MAX_NESTING) {
        let message = format!("more than {MAX_NESTING} brackets are open here; nest less deeply");
        return Err(vec![problem_at(name, Some(line), message)]);
    }
    let rewritten = rewrite(text);
    let edition = match &rewritten.edition {
        None => None,
        Some((edition, line)) => Some(Edition::of(edition).ok_or_else(|| {
            let message =
                format!("the edition \"{edition}\" is not known; write \"2023\" or \"2024\"");
            vec![problem_at(name, Some(*line), message)]
        })?),
    };
    let file = caught(name, || File::from_source(name, &rewritten.text))?
        .map_err(|error| errors::of(&error, name))?;
    let file = file.file_descriptor_proto().clone();
    Ok(Parsed { file, text: rewritten.text, edition })
}

/// Runs what may panic on bad input, and gives a panic as a problem of the file.
pub(crate) fn caught<T>(file: &str, run: impl FnOnce() -> T) -> Result<T, Vec<Problem>> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|cause| {
        let reason = cause
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| cause.downcast_ref::<&str>().copied());
        vec![Problem {
            place: Some(Place::new(file)),
            ..Problem::of_setting(Mistake::Panicked {
                reason: reason.unwrap_or("without a message").to_owned(),
            })
        }]
    })
}
