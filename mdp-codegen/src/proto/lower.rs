//! Converts `prost-build`'s services into the model.

use mdp_schema::Schema;
use proc_macro2::Span;
use prost_build::{Comments, Method as ProstMethod, Service as ProstService};
use prost_types::FileDescriptorSet;
use prost_types::method_options::IdempotencyLevel;
use syn::{Attribute, Ident, Type};

use super::options::{self, Said};
use super::places::{Places, full_name};
use super::settings::Settings;
use crate::errors::{Mistake, Problem};
use crate::model::{Idempotency, Method, OnCancel, SchemaSource, Service, Shape};
use crate::names;

/// Converts services. Parts that cannot be converted become problems, so that all problems are shown.
pub(super) struct Lowering<'a> {
    pub(super) settings: &'a Settings,
    pub(super) places: &'a Places,
    /// The files as they were read.
    pub(super) set: &'a FileDescriptorSet,
    pub(super) said: &'a Said,
    pub(super) problems: Vec<Problem>,
}

impl Lowering<'_> {
    pub(super) fn service(&mut self, service: &ProstService) -> Option<Service> {
        let name = full_name(&service.package, &service.proto_name);
        let Some(names) = names::service(&service.proto_name) else {
            self.no_name(&name, None, &service.proto_name);
            return None;
        };
        let methods = service.methods.iter().enumerate();
        let methods =
            methods.filter_map(|(number, method)| self.method(service, number, method)).collect();
        Some(Service {
            package: service.package.clone(),
            name: service.proto_name.clone(),
            ident: names.ident,
            type_stem: names.type_stem,
            module_stem: names.module_stem,
            docs: self.docs(&name, &service.comments),
            deprecated: deprecated(service.options.deprecated()),
            visibility: syn::parse_quote!(pub),
            cfgs: Vec::new(),
            needs_outer_names: false,
            methods,
            attributes: self.settings.attributes(&name),
            schema: self.schema(&name),
            origin: self.places.service(&name),
        })
    }

    fn method(
        &mut self,
        service: &ProstService,
        number: usize,
        method: &ProstMethod,
    ) -> Option<Method> {
        let of = full_name(&service.package, &service.proto_name);
        let Some(ident) = names::method(&method.proto_name) else {
            self.no_name(&of, Some(number), &method.proto_name);
            return None;
        };
        let full = format!("{of}.{}", method.proto_name);
        let said = self.said.method(&of, number);
        let detaches = self.detaches(&of, number, &method.proto_name, said.on_cancel)?
            || self.settings.is_detached(&full);
        Some(Method {
            docs: self.docs(&full, &method.comments),
            name: method.proto_name.clone(),
            ident,
            shape: Shape::of(method.client_streaming, method.server_streaming),
            idempotency: idempotency(method.options.idempotency_level()),
            timeout_ms: said.timeout_ms,
            // A value that is too large for the number type is out of range, too.
            retry_attempts: said
                .retry_attempts
                .map(|attempts| u8::try_from(attempts).unwrap_or(u8::MAX)),
            blocking: said.blocking || self.settings.is_blocking(&full),
            on_cancel: if detaches { OnCancel::Detach } else { OnCancel::Cancel },
            deprecated: deprecated(method.options.deprecated()),
            cfgs: Vec::new(),
            takes_context: true,
            takes_request: true,
            input: self.message(&service.package, &method.input_type, &method.input_proto_type)?,
            output: self.message(
                &service.package,
                &method.output_type,
                &method.output_proto_type,
            )?,
            origin: self.places.method(&of, number),
        })
    }

    /// Whether the option asks for `DETACH`. A newer copy of the option's file may have further values.
    fn detaches(
        &mut self,
        service: &str,
        number: usize,
        method: &str,
        on_cancel: i32,
    ) -> Option<bool> {
        match options::OnCancel::try_from(on_cancel) {
            Ok(on_cancel) => Some(on_cancel == options::OnCancel::Detach),
            Err(_) => {
                self.problems.push(Problem {
                    origin: Some(self.places.method(service, number)),
                    service: Some(service.to_owned()),
                    method: Some(method.to_owned()),
                    mistake: Mistake::UnknownOnCancel { value: on_cancel },
                });
                None
            }
        }
    }

    fn schema(&mut self, service: &str) -> SchemaSource {
        let schema = mdp_schema::service(self.set, service).unwrap_or_else(|error| {
            let message = error.to_string();
            self.problems.push(Problem {
                origin: Some(self.places.service(service)),
                service: Some(service.to_owned()),
                method: None,
                mistake: Mistake::Proto { message },
            });
            Schema::of_service(service, Vec::new())
        });
        SchemaSource::Bytes(schema.to_bytes())
    }

    fn docs(&self, name: &str, comments: &Comments) -> Vec<String> {
        if self.settings.without_comments(name) {
            return Vec::new();
        }
        let both = !comments.leading.is_empty() && !comments.trailing.is_empty();
        let blank = both.then(String::new);
        let lines = comments.leading.iter().cloned().chain(blank);
        let lines = lines.chain(comments.trailing.iter().cloned());
        lines.map(after_slashes).collect()
    }

    /// The type of a message, as written one module below the package's module.
    fn message(&mut self, package: &str, rust: &str, proto: &str) -> Option<Type> {
        let proto = proto.trim_start_matches('.');
        let beside_package = local_path(package, proto).is_some_and(|local| local == rust);
        match syn::parse_str(rust) {
            Ok(mut path) => {
                descend(&mut path, beside_package);
                Some(path)
            }
            Err(error) => {
                self.problems.push(Problem::of_setting(Mistake::Setting {
                    setting: "extern_path",
                    value: rust.to_owned(),
                    reason: format!("it is not a type ({error}); it replaces {proto}"),
                }));
                None
            }
        }
    }

    fn no_name(&mut self, service: &str, method: Option<usize>, name: &str) {
        let origin = match method {
            Some(number) => self.places.method(service, number),
            None => self.places.service(service),
        };
        self.problems.push(Problem {
            origin: Some(origin),
            service: Some(service.to_owned()),
            method: method.map(|_| name.to_owned()),
            mistake: Mistake::NoRustName { name: name.to_owned() },
        });
    }
}

fn idempotency(level: IdempotencyLevel) -> Idempotency {
    match level {
        IdempotencyLevel::IdempotencyUnknown => Idempotency::Unknown,
        IdempotencyLevel::NoSideEffects => Idempotency::NoSideEffects,
        IdempotencyLevel::Idempotent => Idempotency::Idempotent,
    }
}

fn deprecated(option: bool) -> Option<Attribute> {
    option.then(|| syn::parse_quote!(#[deprecated]))
}

fn after_slashes(line: String) -> String {
    if line.is_empty() { line } else { format!(" {line}") }
}

/// Converts a type for a module one level below the package's module.
///
/// Only paths that start at the package's module change: `Foo` and `super::Foo`. Paths such as `::other::Foo` stay, and
/// so do `other::Foo` and `bool`, because they come from an `extern_path`.
fn descend(path: &mut Type, beside_package: bool) {
    let Type::Path(path) = path else { return };
    let segments = &mut path.path.segments;
    let first = segments.first().map(|segment| segment.ident.to_string());
    let relative = matches!(first.as_deref(), Some("super" | "self"));
    let up = Ident::new("super", Span::call_site());
    if first.as_deref() == Some("self") {
        if let Some(segment) = segments.first_mut() {
            segment.ident = up;
        }
    } else if relative || beside_package {
        segments.insert(0, up.into());
    }
}

/// The Rust path of a generated message, in the module of `package`. `None`: its name is invalid.
///
/// `prost-build` writes this path, unless an `extern_path` replaces it.
fn local_path(package: &str, message: &str) -> Option<String> {
    let mut package = package.split('.').filter(|part| !part.is_empty()).peekable();
    let (scope, name) = message.rsplit_once('.').unwrap_or(("", message));
    let mut scope = scope.split('.').filter(|part| !part.is_empty()).peekable();
    while package.peek().is_some() && package.peek() == scope.peek() {
        package.next();
        scope.next();
    }
    let mut parts: Vec<String> = package.map(|_| "super".to_owned()).collect();
    for part in scope {
        parts.push(names::prost_module(part)?.to_string());
    }
    parts.push(names::prost_type(name)?.to_string());
    Some(parts.join("::"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]

    use quote::ToTokens;

    use super::{descend, local_path};

    #[test]
    fn local_paths_are_those_of_prost() {
        for (package, message, path) in [
            ("", "Foo", "Foo"),
            ("a.b", "a.b.Foo", "Foo"),
            ("a.b", "a.b.Outer.Inner", "outer::Inner"),
            ("a.b", "a.c.Foo", "super::c::Foo"),
            ("a.b", "Foo", "super::super::Foo"),
            ("a", "a.type.Self", "r#type::Self_"),
        ] {
            assert_eq!(
                local_path(package, message).as_deref(),
                Some(path),
                "{message} in {package}"
            );
        }
    }

    #[test]
    fn only_what_starts_at_the_package_descends() {
        for (before, beside_package, after) in [
            ("Foo", true, "super::Foo"),
            ("super::c::Foo", true, "super::super::c::Foo"),
            ("super::c::Foo", false, "super::super::c::Foo"),
            ("self::c::Foo", false, "super::c::Foo"),
            ("::other::Foo", false, "::other::Foo"),
            ("crate::Foo", false, "crate::Foo"),
            ("other::Foo", false, "other::Foo"),
            ("bool", false, "bool"),
            ("()", false, "()"),
        ] {
            let mut path = syn::parse_str(before).expect(before);
            descend(&mut path, beside_package);
            let text = path.to_token_stream().to_string().replace(' ', "");
            assert_eq!(text, after, "of {before}");
        }
    }
}
