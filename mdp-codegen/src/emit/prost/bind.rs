//! From a plain service, and `prost-build`'s view of it, to the service in Rust.

use std::collections::HashMap;

use proc_macro2::Span;
use prost_build::{Comments, Method as ProstMethod, Service as ProstService};
use syn::{Attribute, Ident, Type};

use crate::emit::{Forms, RustMethod, RustService, SchemaSource, names};
use crate::errors::{Mistake, Problem};
use crate::model::{Deprecated, Files, Service, full_name};
use crate::proto::Settings;

/// Binds services; what cannot be bound is kept as a problem, so that all of them can be shown.
pub(super) struct Binding<'a> {
    pub(super) settings: &'a Settings,
    /// The plain services, by their full names.
    plain: HashMap<String, &'a Service>,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Binding<'a> {
    pub(super) fn new(settings: &'a Settings, files: &'a Files) -> Self {
        let services = files.iter().flat_map(|file| &file.services);
        let plain = services.map(|service| (service.full_name(), service)).collect();
        Self { settings, plain, problems: Vec::new() }
    }

    pub(super) fn service(&mut self, service: &ProstService) -> Option<RustService> {
        let name = full_name(&service.package, &service.proto_name);
        let plain = *self.plain.get(&name)?;
        let Some(names) = names::service(&plain.name) else {
            let mistake = Mistake::NoRustName { name: plain.name.clone() };
            self.problems.push(Problem::of_service(plain, mistake));
            return None;
        };
        let mut bound = RustService::new(plain, names);
        bound.docs = self.docs(&name, &service.comments);
        bound.deprecated = deprecated(plain.deprecated.as_ref());
        bound.attributes = self.settings.attributes(&name);
        // The module's descriptors are known when all services are.
        bound.schema = SchemaSource::None;
        for (number, method) in service.methods.iter().enumerate() {
            self.method(&mut bound, plain, number, method);
        }
        Some(bound)
    }

    fn method(
        &mut self,
        to: &mut RustService,
        service: &Service,
        number: usize,
        method: &ProstMethod,
    ) -> Option<()> {
        let plain = service.methods.get(number)?;
        let Some(ident) = names::method(&plain.name) else {
            let mistake = Mistake::NoRustName { name: plain.name.clone() };
            self.problems.push(Problem::of_method(service, number, mistake));
            return None;
        };
        let full = format!("{}.{}", service.full_name(), plain.name);
        let rust = RustMethod {
            ident,
            docs: self.docs(&full, &method.comments),
            deprecated: deprecated(plain.deprecated.as_ref()),
            cfgs: Vec::new(),
            takes_context: true,
            takes_request: true,
            input: self.message(&service.package, &method.input_type, &plain.input)?,
            output: self.message(&service.package, &method.output_type, &plain.output)?,
            forms: Forms::default(),
        };
        to.push(plain.clone(), rust);
        Some(())
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
                    reason: format!("it is no type ({error}), and stands for {proto}"),
                }));
                None
            }
        }
    }
}

/// A `.proto` file has no notes.
fn deprecated(plain: Option<&Deprecated>) -> Option<Attribute> {
    plain.map(|_| syn::parse_quote!(#[deprecated]))
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
