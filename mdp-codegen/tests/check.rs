//! The rules, on a model that no `.proto` file was needed for, as the macros use them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use mdp_codegen::emit::{self, Options};
use mdp_codegen::model::{
    Attributes, Idempotency, Method, Module, Origin, SchemaSource, Service, Shape, Taken,
};
use mdp_codegen::{Mistake, check, names};
use proc_macro2::Span;

fn here() -> Origin {
    Origin::Rust(Span::call_site())
}

fn method(name: &str) -> Method {
    Method {
        name: name.to_owned(),
        ident: names::method(name).unwrap(),
        docs: Vec::new(),
        shape: Shape::Unary,
        idempotency: Idempotency::Unknown,
        timeout_ms: None,
        deprecated: None,
        cfgs: Vec::new(),
        takes_context: true,
        takes_request: true,
        input: syn::parse_quote!(super::Request),
        output: syn::parse_quote!(super::Reply),
        origin: here(),
    }
}

fn service(name: &str, methods: &[&str]) -> Service {
    let names = names::service(name).unwrap();
    Service {
        package: "a.v1".to_owned(),
        name: name.to_owned(),
        ident: names.ident,
        type_stem: names.type_stem,
        module_stem: names.module_stem,
        docs: Vec::new(),
        deprecated: None,
        visibility: syn::parse_quote!(pub),
        cfgs: Vec::new(),
        needs_outer_names: false,
        methods: methods.iter().map(|name| method(name)).collect(),
        attributes: Attributes::default(),
        schema: SchemaSource::Described,
        origin: here(),
    }
}

fn mistakes(services: &[Service], taken: &[&str], options: &Options) -> Vec<String> {
    let taken = taken.iter().map(|module| Taken {
        module: (*module).to_owned(),
        by: "a thing".to_owned(),
        origin: here(),
    });
    let module = Module { services: services.to_vec(), taken: taken.collect() };
    check::module(&module, options).iter().map(ToString::to_string).collect()
}

fn of(service: Service) -> Vec<String> {
    mistakes(&[service], &[], &Options::default())
}

#[test]
fn a_fine_service_has_no_problems() {
    assert_eq!(of(service("Auth", &["Login", "Logout"])), [""; 0]);
    assert_eq!(of(service("Nothing", &[])), [""; 0]);
}

#[test]
fn each_shape_but_unary_is_a_problem() {
    for (shape, words) in [
        (Shape::ClientStreaming, "client streaming is not"),
        (Shape::ServerStreaming, "server streaming is not"),
        (Shape::BidiStreaming, "streaming in both directions is not"),
    ] {
        let mut auth = service("Auth", &["Login", "Watch"]);
        auth.methods[1].shape = shape;
        let problems = of(auth);
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].starts_with(&format!("service a.v1.Auth, method Watch: {words}")),
            "{problems:?}"
        );
    }
}

#[test]
fn names_fit_up_to_the_last_byte() {
    let longest = check::MAX_NAME_BYTES - "a.v1.".len();
    let name = |length| "N".repeat(length);
    assert_eq!(of(service(&name(longest), &[])), [""; 0]);
    assert_eq!(of(service(&name(longest + 1), &[])).len(), 1);
    let longest = check::MAX_NAME_BYTES - "a.v1.Auth/".len();
    assert_eq!(of(service("Auth", &[&name(longest)])), [""; 0]);
    assert_eq!(of(service("Auth", &[&name(longest + 1)])).len(), 1);
}

#[test]
fn equal_rust_names_are_a_problem_each() {
    let problems = of(service("Urls", &["GetURL", "Get_Url", "Other", "getUrl"]));
    assert_eq!(problems.len(), 2);
    assert!(
        problems[1].contains("method getUrl") && problems[1].contains("method GetURL"),
        "{problems:?}"
    );
}

#[test]
fn equal_names_on_the_wire_are_a_problem() {
    let mut auth = service("Auth", &["Login", "Logout", "Enter"]);
    auth.methods[2].name = "Login".to_owned();
    let problems = of(auth);
    assert_eq!(problems.len(), 1, "{problems:?}");
    let words = "method Login: its name on the wire is `Login`, which method `login` already has";
    assert!(problems[0].contains(words), "{problems:?}");
}

#[test]
fn methods_under_conditions_may_be_alternatives() {
    let mut auth = service("Auth", &["Login", "Login"]);
    auth.methods[0].cfgs = vec![syn::parse_quote!(#[cfg(unix)])];
    assert_eq!(of(auth.clone()).len(), 1, "the second is always there");
    auth.methods[1].cfgs = vec![syn::parse_quote!(#[cfg(not(unix))])];
    assert_eq!(of(auth), [""; 0]);
}

#[test]
fn modules_clash_only_if_they_are_generated() {
    let foo = [service("Foo", &[])];
    let all = Options::default();
    assert_eq!(mistakes(&foo, &["foo", "foo_thing"], &all), [""; 0]);
    for taken in ["foo_service", "foo_client", "foo_worker"] {
        assert_eq!(mistakes(&foo, &[taken], &all).len(), 1, "{taken}");
    }
    let no_client = Options { client: false, ..Options::default() };
    assert_eq!(mistakes(&foo, &["foo_client"], &no_client), [""; 0]);
    let no_worker = Options { worker: false, ..Options::default() };
    assert_eq!(mistakes(&foo, &["foo_worker"], &no_worker), [""; 0]);
    let twice = [service("FOO", &[]), service("Foo", &[])];
    assert_eq!(mistakes(&twice, &[], &all).len(), 1);
}

#[test]
fn all_problems_are_found_at_once() {
    let mut auth = service("Auth", &["Get", "get"]);
    auth.methods[0].shape = Shape::ServerStreaming;
    let module = Module { services: vec![auth], taken: Vec::new() };
    let problems = check::module(&module, &Options::default());
    assert!(problems.iter().any(|problem| matches!(problem.mistake, Mistake::SameRustName { .. })));
    assert!(problems.iter().any(|problem| matches!(problem.mistake, Mistake::Streaming { .. })));
}

#[test]
fn what_was_not_checked_is_never_emitted_as_unary() {
    let mut auth = service("Auth", &["Watch"]);
    auth.methods[0].shape = Shape::ServerStreaming;
    let text = emit::service(&auth, &Options::default()).to_string();
    assert!(!text.contains("fn watch"), "{text}");
    assert_eq!(text.matches("compile_error").count(), 2);
}
