//! What a service is in Rust: names, types, visibility and attributes, beside the plain service.

use proc_macro2::Ident;
use syn::{Attribute, Path, Type, Visibility};

use super::names::ServiceNames;
use crate::model::{Method, Place, Service};

/// All services of one generated Rust module, with the module names that other items use there.
#[derive(Clone, Debug, Default)]
pub struct RustModule {
    /// The services, in the order of their declaration.
    pub services: Vec<RustService>,
    /// Names of modules that exist next to the generated ones.
    pub reserved: Vec<ReservedName>,
}

/// A module name that something other than a service occupies.
#[derive(Clone, Debug)]
pub struct ReservedName {
    /// The name as it is written in Rust, such as `auth_client`.
    pub module: String,
    /// The item that uses it, as text for an error message: ``message `auth.v1.AuthClient` ``.
    pub by: String,
    /// The place of its declaration. `None`: not known.
    pub place: Option<Place>,
}

/// One service in Rust.
///
/// [`names::service`](super::names::service) gives the three Rust names; the stems must be valid beginnings of
/// identifiers. Each method of the plain service has its [`RustMethod`].
#[derive(Clone, Debug)]
pub struct RustService {
    /// The service without anything of Rust.
    plain: Service,
    /// What the methods are in Rust, in the order of those of `plain`, and as many.
    methods: Vec<RustMethod>,
    /// The name of the worker trait: `Auth`.
    pub ident: Ident,
    /// The first part of the names of the generated types: `Auth`, as in `AuthClient`.
    pub type_stem: String,
    /// The first part of the names of the generated modules: `auth`, as in `auth_client`.
    pub module_stem: String,
    /// Lines of documentation, each without its `///`, which rustdoc can read.
    pub docs: Vec<String>,
    /// `#[deprecated]`, with its note, if the service is deprecated.
    pub deprecated: Option<Attribute>,
    /// The visibility of the generated modules. Their content is public. Default: `pub`.
    pub visibility: Visibility,
    /// The conditions of the service: `#[cfg(..)]`.
    pub cfgs: Vec<Attribute>,
    /// Whether a method's type is a path that begins with a name next to the service, such as `records::Login`. The
    /// generated modules then import all names from there.
    pub needs_outer_names: bool,
    /// The user's attributes on the generated items.
    pub attributes: Attributes,
    /// The source of the service's schema in the generated code.
    pub schema: SchemaSource,
}

impl RustService {
    /// A service with these names, and without methods: those of `plain` are not copied.
    pub fn new(plain: &Service, names: ServiceNames) -> Self {
        let ServiceNames { ident, type_stem, module_stem } = names;
        Self {
            plain: Service {
                package: plain.package.clone(),
                name: plain.name.clone(),
                comments: plain.comments.clone(),
                deprecated: plain.deprecated.clone(),
                options: plain.options.clone(),
                methods: Vec::new(),
                place: plain.place.clone(),
            },
            methods: Vec::new(),
            ident,
            type_stem,
            module_stem,
            docs: Vec::new(),
            deprecated: None,
            visibility: syn::parse_quote!(pub),
            cfgs: Vec::new(),
            needs_outer_names: false,
            attributes: Attributes::default(),
            schema: SchemaSource::Described,
        }
    }

    /// Adds a method behind the others.
    pub fn push(&mut self, plain: Method, rust: RustMethod) {
        self.plain.methods.push(plain);
        self.methods.push(rust);
    }

    /// The service without anything of Rust.
    pub fn plain(&self) -> &Service {
        &self.plain
    }

    /// The methods in the order of their numbers.
    pub fn methods(&self) -> impl Iterator<Item = BoundMethod<'_>> {
        let both = self.plain.methods.iter().zip(&self.methods);
        both.map(|(plain, rust)| BoundMethod { plain, rust })
    }

    /// Keeps only the methods of which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(BoundMethod<'_>) -> bool) {
        let plain = std::mem::take(&mut self.plain.methods);
        let rust = std::mem::take(&mut self.methods);
        for (plain, rust) in plain.into_iter().zip(rust) {
            if keep(BoundMethod { plain: &plain, rust: &rust }) {
                self.push(plain, rust);
            }
        }
    }
}

/// One method in Rust.
#[derive(Clone, Debug)]
pub struct RustMethod {
    /// The name in Rust: `who_am_i`.
    pub ident: Ident,
    /// Lines of documentation, each without its `///`, which rustdoc can read.
    pub docs: Vec<String>,
    /// `#[deprecated]`, with its note, if the method is deprecated.
    pub deprecated: Option<Attribute>,
    /// The conditions of the method: `#[cfg(..)]`. They do not change its number.
    pub cfgs: Vec<Attribute>,
    /// Whether the handler gets the call's context.
    pub takes_context: bool,
    /// Whether the client and the handler get a request. Without one an empty message is sent. Always `true` for a
    /// stream of requests.
    pub takes_request: bool,
    /// The type of the request, as the generated modules write it. `()`: no request.
    pub input: Type,
    /// The type of the reply, as the generated modules write it.
    pub output: Type,
    /// What only a method that is declared in Rust can have. Default: none of it.
    pub forms: Forms,
}

/// The forms of a method that only Rust has.
#[derive(Clone, Debug, Default)]
pub struct Forms {
    /// The arguments in place of one request. `input` is then a record with these fields.
    pub arguments: Option<Vec<Argument>>,
    /// The value in place of a record. `output` is then a record with one field, `value`.
    pub value: Option<Type>,
    /// The result of the handler, if its error is not a `Status`.
    pub result: Option<HandlerResult>,
    /// What an implementation that leaves the method out does.
    pub default: Option<DefaultBody>,
}

/// One argument of a method, which is a field of its request.
#[derive(Clone, Debug)]
pub struct Argument {
    /// The name of the argument and of the field.
    pub ident: Ident,
    /// The type, as the generated modules write it.
    pub ty: Type,
}

/// A handler's result whose error becomes a `Status`.
#[derive(Clone, Debug)]
pub enum HandlerResult {
    /// `Result<Reply, Error>` with this type of the error.
    Error(Type),
    /// An alias of `Result`, with the reply in it.
    Alias(Type),
}

/// What happens in place of a method that an implementation leaves out.
#[derive(Clone, Debug)]
pub enum DefaultBody {
    /// Callers get UNIMPLEMENTED.
    Unimplemented,
    /// The function with this path gets the arguments of the method.
    Call(Path),
}

/// A method, and what it is in Rust.
#[derive(Clone, Copy, Debug)]
pub struct BoundMethod<'a> {
    /// The method without anything of Rust.
    pub plain: &'a Method,
    /// What it is in Rust.
    pub rust: &'a RustMethod,
}

/// Where the generated code has the schema of a service from: bytes that the generator embeds, for services of `.proto`
/// files, or the Rust types themselves, for services declared in Rust.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SchemaSource {
    /// The static with this name, beside the module of the service, which has the descriptors.
    Embedded(Ident),
    /// There is none: the schema is empty.
    None,
    /// The types of requests and replies, which describe themselves.
    #[default]
    Described,
}

/// The user's attributes on the generated items of a service.
#[derive(Clone, Debug, Default)]
pub struct Attributes {
    /// On the client's struct.
    pub client: Vec<Attribute>,
    /// On the module around the client.
    pub client_mod: Vec<Attribute>,
    /// On the worker's struct.
    pub worker: Vec<Attribute>,
    /// On the module around the worker.
    pub worker_mod: Vec<Attribute>,
}
