//! The methods of a worker by their paths.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Method, Offer, refusal};
use crate::names;
use crate::payload::Payload;
use crate::status::{Code, Reason, Refusal};

/// What the path of a REQUEST leads to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Called {
    /// The index of the service.
    pub(super) service: usize,
    /// The index of the method. `None`: the driver has no handler for this path, or the request is raw.
    pub(super) method: Option<usize>,
}

/// Looks up the paths of REQUESTs, each of them once.
#[derive(Debug)]
pub(super) struct Paths {
    /// In the order of the paths.
    methods: Vec<(Arc<[u8]>, Called)>,
    /// What the last good path led to: the next REQUEST is most often of the same method.
    last: (Vec<u8>, Called),
}

impl Paths {
    pub(super) fn new(methods: &[Method]) -> Self {
        let called = |(index, method): (usize, &Method)| {
            let called = Called { service: method.service, method: Some(index) };
            (Arc::clone(&method.path), called)
        };
        let mut methods: Vec<_> = methods.iter().enumerate().map(called).collect();
        methods.sort_by(|(one, _), (other, _)| one.cmp(other));
        Paths { methods, last: (Vec::new(), Called::default()) }
    }

    /// Finds what the path of a REQUEST leads to.
    pub(super) fn resolve<P: Payload>(
        &mut self,
        body: &P,
        services: &[Offer],
    ) -> Result<Called, Refusal> {
        if body.is_raw() {
            return Ok(Called { service: service_of(body, services)?, method: None });
        }
        let (path, called) = &self.last;
        if !path.is_empty() && body.path() == path {
            return Ok(*called);
        }
        let called = match self.method_at(body.path()) {
            Some(called) => called,
            None => Called { service: service_of(body, services)?, method: None },
        };
        self.last.0.clear();
        self.last.0.extend_from_slice(body.path());
        self.last.1 = called;
        Ok(called)
    }

    fn method_at(&self, path: &[u8]) -> Option<Called> {
        let place = self.methods.binary_search_by(|(known, _)| (**known).cmp(path)).ok()?;
        self.methods.get(place).map(|(_, called)| *called)
    }
}

/// The index of the service that a REQUEST names.
fn service_of<P: Payload>(body: &P, services: &[Offer]) -> Result<usize, Refusal> {
    let path = names::check(body.path());
    let service = match body.is_raw() {
        true => path,
        false => path.and_then(names::split).map(|(service, _)| service),
    };
    let service = service.map_err(|error| {
        let message = format!("the REQUEST's name is not a method's path: {error}");
        refusal(Code::InvalidArgument, Reason::BadRequest, message)
    })?;
    let place = services.iter().position(|offer| *offer.service == *service.as_bytes());
    place.ok_or_else(|| {
        let message = format!("this worker does not offer the service {service}");
        refusal(Code::Unimplemented, Reason::NotDispatched, message)
    })
}
