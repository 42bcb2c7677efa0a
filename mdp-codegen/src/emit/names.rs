//! Converts names on the wire into names in Rust.
//!
//! Cases are converted as `prost-build` does for messages, so that a service and its messages have the same style.

use heck::{ToSnakeCase, ToUpperCamelCase};
use proc_macro2::{Ident, Span};

/// The names of the items that are generated for a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceNames {
    /// The worker trait: `Auth`.
    pub ident: Ident,
    /// The stem of the types: `Auth`, as in `AuthClient`.
    pub type_stem: String,
    /// The stem of the modules: `auth`, as in `auth_client`.
    pub module_stem: String,
}

/// Returns the Rust names of a service. `None`: the name has no letters or digits, for example `_`.
///
/// ```
/// let names = mdp_codegen::emit::names::service("HTTPCache").expect("the name has letters");
/// assert_eq!(names.module_stem, "http_cache");
/// assert_eq!(names.type_stem, "HttpCache");
/// ```
pub fn service(name: &str) -> Option<ServiceNames> {
    let type_stem = not_a_digit_first(name.to_upper_camel_case());
    let module_stem = not_a_digit_first(name.to_snake_case());
    Some(ServiceNames { ident: ident(&type_stem)?, type_stem, module_stem })
}

/// Returns the Rust name of a method. `None`: the name has no letters or digits, for example `_`.
///
/// Keywords become raw identifiers; the few that cannot be raw get an underscore.
///
/// ```
/// let name = |proto| mdp_codegen::emit::names::method(proto).expect("the name has letters").to_string();
/// assert_eq!(name("GetURL"), "get_url");
/// assert_eq!(name("Type"), "r#type");
/// assert_eq!(name("Self"), "self_");
/// ```
pub fn method(name: &str) -> Option<Ident> {
    ident(&not_a_digit_first(name.to_snake_case()))
}

/// Returns the name on the wire of a method that is declared in Rust. Empty: the name has no letters or digits, for
/// example `__`.
///
/// ```
/// let name = |rust| mdp_codegen::emit::names::on_wire(&quote::format_ident!("{rust}"));
/// assert_eq!(name("who_am_i"), "WhoAmI");
/// assert_eq!(name("r#type"), "Type");
/// ```
pub fn on_wire(method: &Ident) -> String {
    let name = method.to_string();
    not_a_digit_first(name.strip_prefix("r#").unwrap_or(&name).to_upper_camel_case())
}

/// The name of the constant that describes a method: `WHO_AM_I` for `who_am_i`.
pub(crate) fn constant(method: &Ident) -> Ident {
    let name = method.to_string();
    let name = name.strip_prefix("r#").unwrap_or(&name).to_uppercase();
    Ident::new(&name, method.span())
}

/// The name of a generated module: `auth_client`.
pub(crate) fn module(module_stem: &str, suffix: &str) -> String {
    format!("{module_stem}_{suffix}")
}

/// The name that `prost-build` gives to the module of a message's nested types, or of a part of a package.
#[cfg(feature = "proto")]
pub(crate) fn prost_module(name: &str) -> Option<Ident> {
    method(name)
}

/// The name that `prost-build` gives to a message.
#[cfg(feature = "proto")]
pub(crate) fn prost_type(name: &str) -> Option<Ident> {
    ident(&not_a_digit_first(name.to_upper_camel_case()))
}

/// Heck drops leading underscores, so the name `_2fa` would begin with a digit.
fn not_a_digit_first(name: String) -> String {
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

fn ident(name: &str) -> Option<Ident> {
    match name {
        // A keyword of the 2024 edition that syn accepts as a name.
        "gen" => Some(Ident::new_raw(name, Span::call_site())),
        // These names cannot be raw. (`extern` could, but messages get the underscore, too.)
        "self" | "Self" | "super" | "crate" | "extern" => {
            Some(Ident::new(&format!("{name}_"), Span::call_site()))
        }
        // syn refuses keywords and everything that is not an identifier. A raw keyword is valid.
        _ => syn::parse_str(name).or_else(|_| syn::parse_str(&format!("r#{name}"))).ok(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{constant, method, service};

    #[test]
    fn methods_are_snake_case() {
        for (name, rust) in [
            ("Login", "login"),
            ("WhoAmI", "who_am_i"),
            ("GetURL", "get_url"),
            ("Get_Url", "get_url"),
            ("HTTPGetV2", "http_get_v2"),
            ("_private", "private"),
            ("_2fa", "_2fa"),
        ] {
            assert_eq!(method(name).unwrap().to_string(), rust, "of {name}");
        }
    }

    #[test]
    fn keywords_become_raw_or_get_an_underscore() {
        for name in
            ["type", "match", "async", "await", "dyn", "loop", "try", "gen", "yield", "final"]
        {
            assert_eq!(method(name).unwrap().to_string(), format!("r#{name}"));
        }
        for name in ["self", "super", "crate", "extern"] {
            assert_eq!(method(name).unwrap().to_string(), format!("{name}_"));
        }
        assert_eq!(service("Self").unwrap().ident.to_string(), "Self_");
        assert_eq!(method("union").unwrap().to_string(), "union");
    }

    #[test]
    fn services_have_stems_for_types_and_modules() {
        for (name, types, modules) in [
            ("Auth", "Auth", "auth"),
            ("HTTPCache", "HttpCache", "http_cache"),
            ("user_store", "UserStore", "user_store"),
            ("Self", "Self", "self"),
            ("Type", "Type", "type"),
            ("_3d", "_3d", "_3d"),
        ] {
            let names = service(name).unwrap();
            assert_eq!((names.type_stem.as_str(), names.module_stem.as_str()), (types, modules));
        }
    }

    #[test]
    fn a_name_without_letters_is_none() {
        assert_eq!(service("_"), None);
        assert_eq!(method("__"), None);
        assert_eq!(method(""), None);
        assert_eq!(method("a-b c").map(|name| name.to_string()).as_deref(), Some("a_b_c"));
    }

    #[test]
    fn constants_need_no_raw_names() {
        for (name, expected) in
            [("WhoAmI", "WHO_AM_I"), ("Type", "TYPE"), ("Self", "SELF_"), ("_2fa", "_2FA")]
        {
            assert_eq!(constant(&method(name).unwrap()).to_string(), expected);
        }
    }
}
