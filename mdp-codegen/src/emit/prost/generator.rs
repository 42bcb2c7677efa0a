//! The two generators that `prost-build` calls for each service.
//!
//! It is run twice. The first time a [`Collector`] takes the services, so that all of them can be checked
//! before anything is written; the second time a [`Writer`] adds their code to that of the messages.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use prost_build::{Module, Service, ServiceGenerator};

/// Takes the services and generates nothing.
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

/// Writes the code that was made for each service.
#[derive(Debug)]
pub(super) struct Writer {
    /// By package and name.
    pub(super) code: HashMap<(String, String), String>,
    /// What follows the messages of a module.
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

/// prost-build 0.14 drops a package without code, and panics afterwards if that package has a service.
fn keep(code: &mut String) {
    code.push('\n');
}
