//! The rules, on a model that no `.proto` file was needed for, as the macros use them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use mdp_codegen::emit::{
    self, Forms, Options, ReservedName, RustMethod, RustModule, RustService, names,
};
use mdp_codegen::model::{Method, Service, Shape};
use mdp_codegen::{Mistake, Problem, check};

type Both = (Method, RustMethod);

/// A unary method.
fn method(name: &str) -> Both {
    let rust = RustMethod {
        ident: names::method(name).unwrap(),
        docs: Vec::new(),
        deprecated: None,
        cfgs: Vec::new(),
        takes_context: true,
        takes_request: true,
        input: syn::parse_quote!(super::Request),
        output: syn::parse_quote!(super::Reply),
        forms: Forms::default(),
    };
    (Method::new(name, Shape::Unary), rust)
}

fn service_of(name: &str, methods: Vec<Both>) -> RustService {
    let names = names::service(name).unwrap();
    let mut service = RustService::new(&Service::new("a.v1", name), names);
    methods.into_iter().for_each(|(plain, rust)| service.push(plain, rust));
    service
}

fn service(name: &str, methods: &[&str]) -> RustService {
    service_of(name, methods.iter().map(|name| method(name)).collect())
}

/// The service `Auth` with one unary method and one that `change` has changed.
fn auth_with(name: &str, change: impl FnOnce(&mut Method, &mut RustMethod)) -> RustService {
    let mut changed = method(name);
    change(&mut changed.0, &mut changed.1);
    service_of("Auth", vec![method("Login"), changed])
}

fn problems(services: &[RustService], reserved: &[&str], options: &Options) -> Vec<Problem> {
    let reserved = reserved.iter().map(|module| ReservedName {
        module: (*module).to_owned(),
        by: "a thing".to_owned(),
        place: None,
    });
    let module = RustModule { services: services.to_vec(), reserved: reserved.collect() };
    let plain = services.iter().flat_map(|service| check::service(service.plain()));
    plain.chain(emit::check(&module, options)).collect()
}

fn mistakes(services: &[RustService], reserved: &[&str], options: &Options) -> Vec<String> {
    problems(services, reserved, options).iter().map(ToString::to_string).collect()
}

fn of(service: RustService) -> Vec<String> {
    mistakes(&[service], &[], &Options::default())
}

#[test]
fn a_fine_service_has_no_problems() {
    assert_eq!(of(service("Auth", &["Login", "Logout"])), [""; 0]);
    assert_eq!(of(service("Nothing", &[])), [""; 0]);
}

#[test]
fn a_method_of_any_shape_is_fine() {
    for (many_requests, many_replies) in
        [(false, false), (false, true), (true, false), (true, true)]
    {
        let shape = Shape::of(many_requests, many_replies);
        assert_eq!(shape.has_many_requests(), many_requests);
        assert_eq!(shape.has_many_replies(), many_replies);
        assert_eq!(of(auth_with("Watch", |plain, _| plain.shape = shape)), [""; 0]);
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
    let problems = of(auth_with("Enter", |plain, _| plain.name = "Login".to_owned()));
    assert_eq!(problems.len(), 1, "{problems:?}");
    let words = "method Login: its name on the wire is `Login`, which method `login` already has";
    assert!(problems[0].contains(words), "{problems:?}");
}

#[test]
fn methods_under_conditions_may_be_alternatives() {
    let (mut first, mut second) = (method("Login"), method("Login"));
    first.1.cfgs = vec![syn::parse_quote!(#[cfg(unix)])];
    let one = service_of("Auth", vec![first.clone(), second.clone()]);
    assert_eq!(of(one).len(), 1, "the second is always there");
    second.1.cfgs = vec![syn::parse_quote!(#[cfg(not(unix))])];
    assert_eq!(of(service_of("Auth", vec![first, second])), [""; 0]);
}

#[test]
fn modules_clash_only_if_they_are_generated() {
    let foo = [service("Foo", &[])];
    let all = Options::default();
    assert_eq!(mistakes(&foo, &["foo", "foo_thing"], &all), [""; 0]);
    for reserved in ["foo_service", "foo_client", "foo_worker"] {
        assert_eq!(mistakes(&foo, &[reserved], &all).len(), 1, "{reserved}");
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
    let long = service(&"A".repeat(check::MAX_NAME_BYTES), &["Get", "get"]);
    let problems = problems(&[long], &[], &Options::default());
    assert!(problems.iter().any(|problem| matches!(problem.mistake, Mistake::SameRustName { .. })));
    let too_long = |mistake: &Mistake| matches!(mistake, Mistake::ServiceNameTooLong { .. });
    assert!(problems.iter().any(|problem| too_long(&problem.mistake)));
}

/// The methods of the trait and of the client, without blanks.
fn methods(service: &RustService) -> String {
    emit::service(service, &Options::default()).to_string().replace([' ', '\n'], "")
}

#[test]
fn each_shape_has_its_own_signatures() {
    for (shape, call, argument, reply, kind) in [
        (
            Shape::Unary,
            "(&self,req:implInto)->Call<super::Reply>",
            "req:super::Request,",
            "super::Reply",
            "Unary",
        ),
        (
            Shape::ServerStreaming,
            "(&self,req:implInto)->Call<super::Reply,ServerStreaming>",
            "req:super::Request,",
            "implStream<Item=Result<super::Reply,Status>,>+Send",
            "ServerStreaming",
        ),
        (
            Shape::ClientStreaming,
            "(&self,)->Call<super::Reply,ClientStreaming<super::Request>>",
            "requests:Streaming<super::Request>,",
            "super::Reply",
            "ClientStreaming",
        ),
        (
            Shape::BidiStreaming,
            "(&self,)->Call<super::Reply,BidiStreaming<super::Request>>",
            "requests:Streaming<super::Request>,",
            "implStream<Item=Result<super::Reply,Status>,>+Send",
            "BidiStreaming",
        ),
    ] {
        let auth = auth_with("Watch", |plain, _| plain.shape = shape);
        let text = methods(&auth).replace("::mdp_runtime::codegen::", "");
        let text = text.replace("::core::result::", "").replace("::core::marker::", "");
        let text = text.replace("::core::convert::Into<super::Request>,)", "Into)");
        for part in [
            format!("pubfnwatch{call}{{"),
            format!("fnwatch(&self,cx:&CallContext,{argument})->"),
            format!("Output=Result<{reply},Status>,>+Send;"),
            format!("kind:CallKind::{kind},"),
        ] {
            assert!(text.contains(&part), "{part} is not in {text}");
        }
    }
}

#[test]
fn a_stream_of_replies_may_need_no_request() {
    let auth = auth_with("Watch", |plain, rust| {
        plain.shape = Shape::ServerStreaming;
        rust.takes_request = false;
        rust.takes_context = false;
        rust.input = syn::parse_quote!(());
    });
    let text = methods(&auth);
    assert!(text.contains("letreq:()=();"), "{text}");
    assert!(text.contains("self::Auth>::watch(&*inner,).await?"), "{text}");
}
