//! The two generators that `prost-build` calls for each service.
//!
//! `prost-build` generates messages once, with a [`Collector`], which collects the services. After all checks it is called
//! for one empty file for each module, with a [`Writer`], which gives the code that is ready: so the files come to where
//! the user's settings of `prost-build` want them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use prost_build::{Module, Service, ServiceGenerator};
use prost_types::{FileDescriptorProto, FileDescriptorSet, ServiceDescriptorProto};

/// Collects the services and generates nothing.
#[derive(Debug, Default)]
pub(super) struct Collector {
    pub(super) services: Rc<RefCell<Vec<Service>>>,
}

impl ServiceGenerator for Collector {
    fn generate(&mut self, service: Service, code: &mut String) {
        self.services.borrow_mut().push(service);
        // prost-build 0.14 drops a package without code, and then panics if it has a service.
        code.push('\n');
    }
}

/// Gives the code of each module.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) code: HashMap<Module, String>,
}

impl ServiceGenerator for Writer {
    fn generate(&mut self, service: Service, code: &mut String) {
        let module = Module::from_protobuf_package_name(&service.package);
        if let Some(own) = self.code.get(&module) {
            code.push_str(own);
        }
    }
}

/// One file for each package, with a service for which `prost-build` calls the [`Writer`].
pub(super) fn empty_files<'p>(packages: impl Iterator<Item = &'p str>) -> FileDescriptorSet {
    let file = packages.map(|package| FileDescriptorProto {
        name: Some(package.to_owned()),
        package: Some(package.to_owned()),
        service: vec![ServiceDescriptorProto {
            name: Some("Module".to_owned()),
            ..ServiceDescriptorProto::default()
        }],
        ..FileDescriptorProto::default()
    });
    FileDescriptorSet { file: file.collect() }
}
