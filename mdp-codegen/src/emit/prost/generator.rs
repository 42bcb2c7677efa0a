//! The two generators that `prost-build` calls for each service.
//!
//! `prost-build` runs twice. First a [`Collector`] collects the services, so that all of them are checked before
//! anything is written. Then a [`Writer`] adds their code to the code of the messages.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use prost_build::{Module, Service, ServiceGenerator};

/// Collects the services and generates nothing.
#[derive(Debug, Default)]
pub(super) struct Collector {
    pub(super) services: Rc<RefCell<Vec<Service>>>,
}

impl ServiceGenerator for Collector {
    fn generate(&mut self, service: Service, code: &mut String) {
        self.services.borrow_mut().push(service);
        keep(code);
    }
}

/// Writes the generated code of each service.
#[derive(Debug)]
pub(super) struct Writer {
    /// The code of the services, by package and name.
    pub(super) code: HashMap<(String, String), String>,
    /// The code that follows the messages of a module.
    pub(super) described: HashMap<Module, String>,
}

impl ServiceGenerator for Writer {
    fn generate(&mut self, service: Service, code: &mut String) {
        if let Some(own) = self.code.get(&(service.package, service.proto_name)) {
            code.push_str(own);
        }
        keep(code);
    }

    fn finalize_package(&mut self, package: &str, code: &mut String) {
        if let Some(own) = self.described.get(&Module::from_protobuf_package_name(package)) {
            code.push_str(own);
        }
    }
}

/// Keeps the package: prost-build 0.14 drops a package without code, and then panics if it has a service.
fn keep(code: &mut String) {
    code.push('\n');
}
