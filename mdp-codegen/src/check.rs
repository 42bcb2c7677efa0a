//! The rules for services in any language: what the wire can carry, and which options go together.
//!
//! The rules for names in Rust are in [`emit::check`](crate::emit::check()). The checks never stop at the first
//! mistake, so a user sees all mistakes at once.

use crate::errors::{Mistake, Problem};
pub use crate::model::MAX_NAME_BYTES;
use crate::model::{Method, Service, Shape};

/// Checks a service and returns every problem found. An empty list: the service is valid.
pub fn service(service: &Service) -> Vec<Problem> {
    let mut problems = Vec::from_iter(service_name(service));
    for (number, method) in service.methods.iter().enumerate() {
        let mistakes = [path(service, method), blocking(method), retry(method), timeout(method)];
        let mistakes = mistakes.into_iter().flatten();
        problems.extend(mistakes.map(|mistake| Problem::of_method(service, number, mistake)));
    }
    problems
}

fn service_name(service: &Service) -> Option<Problem> {
    let bytes = service.full_name().len();
    (bytes > MAX_NAME_BYTES)
        .then(|| Problem::of_service(service, Mistake::ServiceNameTooLong { bytes }))
}

fn path(service: &Service, method: &Method) -> Option<Mistake> {
    let bytes = service.path(method).len();
    // A service name that is too long was reported once. Its methods would repeat the problem.
    let own_fault = service.full_name().len() <= MAX_NAME_BYTES;
    (own_fault && bytes > MAX_NAME_BYTES).then_some(Mistake::PathTooLong { bytes })
}

/// A blocking handler has one request and one reply. A stream would have to wait for its thread.
fn blocking(method: &Method) -> Option<Mistake> {
    (method.blocking && method.shape != Shape::Unary).then_some(Mistake::BlockingStream)
}

/// The maximum number of attempts. A larger number is probably a mistake.
const MAX_ATTEMPTS: u8 = 100;

fn retry(method: &Method) -> Option<Mistake> {
    let attempts = method.retry_attempts?;
    match method.shape {
        Shape::Unary if (1..=MAX_ATTEMPTS).contains(&attempts) => None,
        Shape::Unary => Some(Mistake::NoAttempt),
        _ => Some(Mistake::RetryStream),
    }
}

fn timeout(method: &Method) -> Option<Mistake> {
    (method.timeout_ms == Some(0)).then_some(Mistake::NoTime)
}
