//! Finds the places of declarations in `.proto` files.
//!
//! A descriptor identifies its parts by numbers: `[6, 1, 2, 0]` is the first method of the second service.

use std::collections::HashMap;

use prost_types::{FileDescriptorProto, FileDescriptorSet};

use crate::model::Origin;

/// Field numbers in `descriptor.proto`.
const FILE_MESSAGES: i32 = 4;
pub(super) const FILE_SERVICES: i32 = 6;
const SERVICE_METHODS: i32 = 2;

/// The lines of all services, methods and outer messages, by their full names.
#[derive(Debug, Default)]
pub(super) struct Places {
    services: HashMap<String, Origin>,
    methods: HashMap<(String, usize), Origin>,
    messages: HashMap<String, Origin>,
}

impl Places {
    pub(super) fn of(set: &FileDescriptorSet) -> Self {
        let mut places = Self::default();
        for file in &set.file {
            places.add(file);
        }
        places
    }

    pub(super) fn service(&self, full_name: &str) -> Origin {
        self.services.get(full_name).cloned().unwrap_or_else(nowhere)
    }

    pub(super) fn method(&self, service: &str, number: usize) -> Origin {
        let place = self.methods.get(&(service.to_owned(), number));
        place.cloned().unwrap_or_else(nowhere)
    }

    pub(super) fn message(&self, full_name: &str) -> Origin {
        self.messages.get(full_name).cloned().unwrap_or_else(nowhere)
    }

    fn add(&mut self, file: &FileDescriptorProto) {
        let lines = lines(file);
        let at = |path: &[i32]| Origin::Proto {
            file: file.name().to_owned(),
            line: lines.get(path).copied(),
        };
        for (message, number) in file.message_type.iter().zip(0..) {
            let name = full_name(file.package(), message.name());
            self.messages.insert(name, at(&[FILE_MESSAGES, number]));
        }
        for (service, number) in file.service.iter().zip(0..) {
            let name = full_name(file.package(), service.name());
            for (position, path) in (0..service.method.len()).zip(0..) {
                let origin = at(&[FILE_SERVICES, number, SERVICE_METHODS, path]);
                self.methods.insert((name.clone(), position), origin);
            }
            self.services.insert(name, at(&[FILE_SERVICES, number]));
        }
    }
}

/// A name with its package, without a leading dot.
pub(super) fn full_name(package: &str, name: &str) -> String {
    if package.is_empty() { name.to_owned() } else { format!("{package}.{name}") }
}

/// The lines of a file, counted from 1, by the paths of the declarations.
fn lines(file: &FileDescriptorProto) -> HashMap<&[i32], usize> {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    locations
        .filter_map(|location| {
            let line = usize::try_from(*location.span.first()?).ok()?;
            Some((location.path.as_slice(), line + 1))
        })
        .collect()
}

fn nowhere() -> Origin {
    Origin::Proto { file: String::new(), line: None }
}
