//! What must hold for the workspace as a whole, read from its manifests, its lock file and its
//! sources. The checks are functions over text, so that the tests show each of them failing on a
//! made-up workspace before they hold for this one.
//!
//! - [`arrows`]: which package may depend on which.
//! - [`circles`]: that the modules of a crate do not need each other in a circle.
//! - [`words`]: which words may stand in which sources.
//! - [`sizes`]: how long a source file may be.
//! - [`parts`]: that the parts of the core keep their fields to themselves.
//! - [`rules`]: that a cited rule of `docs/wire.md` exists.
//! - [`old_words`]: that words which were given up do not come back.
//! - [`pages`]: that lines of Markdown end, and that links and the list of pages are right.

pub mod arrows;
pub mod circles;
pub mod old_words;
pub mod pages;
pub mod parts;
pub mod rules;
pub mod sizes;
pub mod strip;
pub mod words;
pub mod workspace;
