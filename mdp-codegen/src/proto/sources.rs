//! Where the parts of a `.proto` file are, and the comments at them.
//!
//! A descriptor names its parts by numbers: `[6, 1, 2, 0]` is the first method of the second service.

use std::collections::HashMap;

use prost_types::FileDescriptorProto;
use prost_types::source_code_info::Location;

use crate::model::{Comments, Place};

/// Field numbers in `descriptor.proto`.
pub(crate) mod parts {
    pub(crate) const FILE_MESSAGES: i32 = 4;
    pub(crate) const FILE_ENUMS: i32 = 5;
    pub(crate) const FILE_SERVICES: i32 = 6;
    pub(crate) const MESSAGE_MESSAGES: i32 = 3;
    pub(crate) const MESSAGE_ENUMS: i32 = 4;
    pub(crate) const SERVICE_METHODS: i32 = 2;
}

/// The source positions of one file.
pub(crate) struct Sources<'a> {
    file: &'a str,
    locations: HashMap<&'a [i32], &'a Location>,
}

impl<'a> Sources<'a> {
    pub(crate) fn of(file: &'a FileDescriptorProto) -> Self {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        let locations = locations.map(|location| (location.path.as_slice(), location)).collect();
        Self { file: file.name(), locations }
    }

    /// Where the part with this path begins.
    pub(crate) fn place(&self, path: &[i32]) -> Place {
        let span = self.locations.get(path).map(|location| location.span.as_slice());
        let from_one = |at: usize| usize::try_from(*span?.get(at)?).ok().map(|number| number + 1);
        Place { line: from_one(0), column: from_one(1), ..Place::new(self.file) }
    }

    pub(super) fn comments(&self, path: &[i32]) -> Comments {
        self.locations.get(path).map_or_else(Comments::default, |location| {
            Comments::new(location.leading_comments(), location.trailing_comments())
        })
    }
}
