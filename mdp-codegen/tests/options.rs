//! Each setting of the builder has an effect on what is generated, and only that one.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::Project;
use mdp_codegen::prost_build::Config;
use quote::ToTokens;
use syn::{Attribute, Item, ItemMod, ItemStruct};

const SHOP: &str = r#"syntax = "proto3";
package shop.v1;

import "google/protobuf/timestamp.proto";
import "common.proto";

// What is sold.
message Ware {
  // Its picture.
  bytes picture = 1;
  map<string, int32> stock = 2;
  google.protobuf.Timestamp since = 3;
  common.Money price = 4;
  Kind kind = 5;
  oneof of { string one = 6; }
}

enum Kind { KIND_UNKNOWN = 0; }

// Sells.
service Shop {
  // Takes money.
  rpc Buy(Ware) returns (common.Money);
}

service Stall { rpc Buy(Ware) returns (Ware); }
"#;

const COMMON: &str = r#"syntax = "proto3";
package common;
message Money { int64 cents = 1; }
"#;

fn project() -> Project {
    Project::new(&[("shop.proto", SHOP), ("common.proto", COMMON)])
}

/// Generates with the settings of `change` and gives the file of the package.
fn shop(change: impl FnOnce(mdp_codegen::Builder) -> mdp_codegen::Builder) -> syn::File {
    let project = project();
    project.compile(change(project.builder()), &["shop.proto"]).unwrap();
    project.parse("shop.v1.rs")
}

fn module_of<'a>(items: &'a [Item], name: &str) -> Option<&'a ItemMod> {
    items.iter().find_map(|item| match item {
        Item::Mod(module) if module.ident == name => Some(module),
        _ => None,
    })
}

fn module<'a>(file: &'a syn::File, name: &str) -> &'a ItemMod {
    module_of(&file.items, name).unwrap_or_else(|| panic!("no module {name}"))
}

fn items(module: &ItemMod) -> &[Item] {
    &module.content.as_ref().unwrap().1
}

fn structure<'a>(items: &'a [Item], name: &str) -> &'a ItemStruct {
    let found = items.iter().find_map(|item| match item {
        Item::Struct(structure) if structure.ident == name => Some(structure),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no struct {name}"))
}

/// The type of a field of `Ware`, without spaces.
fn field(file: &syn::File, name: &str) -> String {
    let ware = structure(&file.items, "Ware");
    let field = ware.fields.iter().find(|field| field.ident.as_ref().unwrap() == name).unwrap();
    text(&field.ty)
}

fn text(tokens: &impl ToTokens) -> String {
    tokens.to_token_stream().to_string().replace(' ', "").replace(",>", ">")
}

fn has(attributes: &[Attribute], attribute: &str) -> bool {
    attributes.iter().any(|found| text(found) == attribute)
}

fn docs(attributes: &[Attribute]) -> Vec<String> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).map(text).collect()
}

#[test]
fn defaults() {
    let file = shop(|builder| builder);
    for name in ["shop_service", "shop_client", "shop_worker", "stall_service", "stall_client"] {
        module(&file, name);
    }
    assert_eq!(field(&file, "picture"), "::mdp_runtime::codegen::prost::alloc::vec::Vec<u8>");
    assert_eq!(
        field(&file, "stock"),
        "::std::collections::HashMap<::mdp_runtime::codegen::prost::alloc::string::String,i32>"
    );
    assert!(field(&file, "since").contains("::mdp_runtime::codegen::prost_types::Timestamp"));
}

#[test]
fn build_client() {
    let file = shop(|builder| builder.build_client(false));
    assert!(module_of(&file.items, "shop_client").is_none());
    module(&file, "shop_worker");
    module(&file, "shop_service");
}

#[test]
fn build_worker() {
    let file = shop(|builder| builder.build_worker(false));
    assert!(module_of(&file.items, "shop_worker").is_none());
    module(&file, "shop_client");
    module(&file, "shop_service");
}

#[test]
fn a_client_that_is_not_built_clashes_with_nothing() {
    let proto = "syntax = \"proto3\";\npackage a;\nmessage FooClient { message Inner {} }\n\
                 service Foo { rpc Do(FooClient) returns (FooClient); }\n";
    let project = Project::new(&[("a.proto", proto)]);
    project.compile(project.builder().build_client(false), &["a.proto"]).unwrap();
    project.compile(project.builder(), &["a.proto"]).unwrap_err();
}

#[test]
fn out_dir() {
    let project = project();
    let other = project.protos().join("other");
    std::fs::create_dir(&other).unwrap();
    project.compile(project.builder().out_dir(&other), &["shop.proto"]).unwrap();
    assert!(other.join("shop.v1.rs").is_file());
    assert_eq!(project.code(), [""; 0]);
}

#[test]
fn extern_path() {
    let project = project();
    let builder = project.builder().extern_path(".common", "::money::v1");
    project.compile(builder, &["shop.proto"]).unwrap();
    assert_eq!(project.code(), ["shop.v1.rs"]);
    let file = project.parse("shop.v1.rs");
    assert_eq!(field(&file, "price"), "::core::option::Option<::money::v1::Money>");
    let client = text(module(&file, "shop_client"));
    assert!(client.contains("->::mdp_runtime::codegen::Call<::money::v1::Money>"), "{client}");
}

#[test]
fn a_message_from_elsewhere_takes_no_module() {
    let proto = "syntax = \"proto3\";\npackage a;\nmessage FooClient { message Inner {} }\n\
                 service Foo { rpc Do(FooClient) returns (FooClient); }\n";
    let project = Project::new(&[("a.proto", proto)]);
    let builder = project.builder().extern_path(".a.FooClient", "::other::FooClient");
    project.compile(builder, &["a.proto"]).unwrap();
}

#[test]
fn type_attribute() {
    let file =
        shop(|builder| builder.type_attribute("Ware", "#[one]").type_attribute(".", "#[two]"));
    let ware = structure(&file.items, "Ware");
    assert!(has(&ware.attrs, "#[one]") && has(&ware.attrs, "#[two]"));
}

#[test]
fn message_attribute() {
    let file = shop(|builder| builder.message_attribute(".shop.v1", "#[one]"));
    assert!(has(&structure(&file.items, "Ware").attrs, "#[one]"));
    assert!(!has(&kind(&file).attrs, "#[one]"));
}

#[test]
fn enum_attribute() {
    let file = shop(|builder| builder.enum_attribute(".", "#[one]"));
    assert!(!has(&structure(&file.items, "Ware").attrs, "#[one]"));
    assert!(has(&kind(&file).attrs, "#[one]"));
}

fn kind(file: &syn::File) -> &syn::ItemEnum {
    let found = file.items.iter().find_map(|item| match item {
        Item::Enum(found) if found.ident == "Kind" => Some(found),
        _ => None,
    });
    found.unwrap()
}

#[test]
fn field_attribute() {
    let file = shop(|builder| builder.field_attribute("Ware.stock", "#[one]"));
    let with: Vec<_> = structure(&file.items, "Ware")
        .fields
        .iter()
        .filter(|field| has(&field.attrs, "#[one]"))
        .map(|field| field.ident.as_ref().unwrap().to_string())
        .collect();
    assert_eq!(with, ["stock"]);
}

#[test]
fn client_attribute() {
    let file = shop(|builder| {
        builder.client_attribute("Shop", "#[one]").client_attribute(".shop", "#[two]")
    });
    let client = structure(items(module(&file, "shop_client")), "ShopClient");
    assert!(has(&client.attrs, "#[one]") && has(&client.attrs, "#[two]"));
    let other = structure(items(module(&file, "stall_client")), "StallClient");
    assert!(!has(&other.attrs, "#[one]") && has(&other.attrs, "#[two]"));
    assert!(!text(module(&file, "shop_worker")).contains("#[two]"));
}

#[test]
fn client_mod_attribute() {
    let file = shop(|builder| builder.client_mod_attribute("shop.v1.Shop", "#[cfg(any())]"));
    assert!(has(&module(&file, "shop_client").attrs, "#[cfg(any())]"));
    assert!(!has(&module(&file, "stall_client").attrs, "#[cfg(any())]"));
    assert!(!has(&module(&file, "shop_worker").attrs, "#[cfg(any())]"));
}

#[test]
fn worker_attribute() {
    let file = shop(|builder| builder.worker_attribute("Shop", "#[one]"));
    let worker = structure(items(module(&file, "shop_worker")), "ShopWorker");
    assert!(has(&worker.attrs, "#[one]"));
    assert!(!text(module(&file, "stall_worker")).contains("#[one]"));
    assert!(!text(module(&file, "shop_client")).contains("#[one]"));
}

#[test]
fn worker_mod_attribute() {
    let file = shop(|builder| builder.worker_mod_attribute("Shop", "#[cfg(any())]"));
    assert!(has(&module(&file, "shop_worker").attrs, "#[cfg(any())]"));
    assert!(!has(&module(&file, "stall_worker").attrs, "#[cfg(any())]"));
    assert!(!has(&module(&file, "shop_client").attrs, "#[cfg(any())]"));
}

#[test]
fn bytes() {
    let file = shop(|builder| builder.bytes(".other").bytes("Ware.picture"));
    assert_eq!(field(&file, "picture"), "::mdp_runtime::codegen::prost::bytes::Bytes");
}

#[test]
fn btree_map() {
    let file = shop(|builder| builder.btree_map(".shop.v1.Ware").btree_map(".other"));
    let stock = field(&file, "stock");
    assert!(
        stock.starts_with("::mdp_runtime::codegen::prost::alloc::collections::BTreeMap<"),
        "{stock}"
    );
}

#[test]
fn disable_comments() {
    let commented = |file: &syn::File| {
        let ware = structure(&file.items, "Ware");
        let picture = ware.fields.iter().next().unwrap();
        let client = items(module(file, "shop_client"));
        let shop = structure(client, "ShopClient");
        let Some(Item::Impl(calls)) = client.iter().find(|item| matches!(item, Item::Impl(_)))
        else {
            panic!("no methods");
        };
        let Some(syn::ImplItem::Fn(buy)) = calls
            .items
            .iter()
            .find(|item| matches!(item, syn::ImplItem::Fn(call) if call.sig.ident == "buy"))
        else {
            panic!("no method `buy`");
        };
        [&ware.attrs, &picture.attrs, &shop.attrs, &buy.attrs]
            .map(|attributes| docs(attributes).concat())
    };
    let all = commented(&shop(|builder| builder));
    assert_eq!(
        all,
        [
            "#[doc=\"Whatissold.\"]",
            "#[doc=\"Itspicture.\"]",
            "#[doc=\"Sells.\"]",
            "#[doc=\"Takesmoney.\"]"
        ]
    );
    let none = commented(&shop(|builder| builder.disable_comments(".")));
    // What is public is never without any documentation.
    assert_eq!(
        none,
        ["", "", "#[doc=\"Calls`shop.v1.Shop`.\"]", "#[doc=\"Calls`shop.v1.Shop/Buy`.\"]"]
    );
    let one = commented(&shop(|builder| {
        builder.disable_comments("Shop.Buy").disable_comments("Ware.picture")
    }));
    assert_eq!(
        one,
        ["#[doc=\"Whatissold.\"]", "", "#[doc=\"Sells.\"]", "#[doc=\"Calls`shop.v1.Shop/Buy`.\"]"]
    );
}

#[test]
fn file_descriptor_set_path() {
    let project = project();
    let path = project.out().join("set.bin");
    project.compile(project.builder().file_descriptor_set_path(&path), &["shop.proto"]).unwrap();
    let encoded = std::fs::read(path).unwrap();
    let set: prost_types::FileDescriptorSet = prost::Message::decode(encoded.as_slice()).unwrap();
    let names: Vec<_> = set.file.iter().map(|file| file.name()).collect();
    assert_eq!(names, ["google/protobuf/timestamp.proto", "common.proto", "shop.proto"]);
    // Positions are there, and comments as they were written.
    let comments = set.file[2].source_code_info.iter().flat_map(|info| &info.location);
    assert!(
        comments
            .filter_map(|place| place.leading_comments.as_ref())
            .any(|text| text == " Sells.\n")
    );
}

#[test]
fn include_file() {
    let project = project();
    project.compile(project.builder().include_file("all.rs"), &["shop.proto"]).unwrap();
    let all = project.parse("all.rs");
    let version = module_of(items(module(&all, "shop")), "v1").unwrap();
    assert_eq!(text(&items(version)[0]), "include!(\"shop.v1.rs\");");
    module(&all, "common");
}

#[test]
fn compile_well_known_types() {
    let project = project();
    project.compile(project.builder().compile_well_known_types(true), &["shop.proto"]).unwrap();
    assert_eq!(project.code(), ["common.rs", "google.protobuf.rs", "shop.v1.rs"]);
    let since = field(&project.parse("shop.v1.rs"), "since");
    assert_eq!(since, "::core::option::Option<super::super::google::protobuf::Timestamp>");
}

#[test]
fn runtime_path() {
    for path in ["::other::runtime", "crate::runtime"] {
        let project = project();
        project.compile(project.builder().runtime_path(path), &["shop.proto"]).unwrap();
        let text = project.read("shop.v1.rs").replace(char::is_whitespace, "");
        assert!(!text.contains("mdp_runtime"), "the default is still there");
        for item in ["prost::Message", "prost_types::Timestamp", "Client", "Service", "MethodSpec"]
        {
            assert!(
                text.contains(&format!("{path}::codegen::{item}")),
                "no {path}::codegen::{item}"
            );
        }
    }
}

#[test]
fn compile_with_config_passes_the_config_on() {
    let project = project();
    let mut config = Config::new();
    config.enable_type_names().bytes([".shop"]).default_package_filename("bare");
    let protos = project.protos().join("bare.proto");
    std::fs::write(&protos, "syntax = \"proto3\";\nmessage Bare {}\n").unwrap();
    let protos = [project.protos().join("shop.proto"), protos];
    project.builder().compile_with_config(config, &protos, &[project.protos()]).unwrap();
    let file = project.parse("shop.v1.rs");
    assert_eq!(field(&file, "picture"), "::mdp_runtime::codegen::prost::bytes::Bytes");
    let named = file.items.iter().filter_map(|item| match item {
        Item::Impl(item) => item.trait_.as_ref().map(|(_, path, _)| text(path)),
        _ => None,
    });
    assert!(named.into_iter().any(|path| path == "::mdp_runtime::codegen::prost::Name"));
    assert_eq!(project.code(), ["bare.rs", "common.rs", "shop.v1.rs"]);
}

#[test]
fn the_builder_goes_before_the_config() {
    let project = project();
    let mut config = Config::new();
    config.out_dir("a/folder/that/is/missing").include_file("theirs.rs");
    let builder = project.builder().include_file("ours.rs");
    builder.compile_with_config(config, &["shop.proto"], &[project.protos()]).unwrap();
    assert_eq!(project.code(), ["common.rs", "ours.rs", "shop.v1.rs"]);
}

#[test]
fn compile_fds_is_the_same_from_descriptors() {
    let project = project();
    project.compile(project.builder(), &["shop.proto"]).unwrap();
    let expected = project.read("shop.v1.rs");
    std::fs::remove_file(project.out().join("shop.v1.rs")).unwrap();
    let set = protox::compile(["shop.proto"], [project.protos()]).unwrap();
    project.builder().compile_fds(set.clone()).unwrap();
    assert_eq!(project.read("shop.v1.rs"), expected);

    let mut lacking = set;
    lacking.file.retain(|file| file.name() != "common.proto");
    let error = project.builder().compile_fds(lacking).unwrap_err();
    assert_eq!(
        error.problems()[0].to_string(),
        "shop.proto:5: the set of descriptors lacks its import \"common.proto\""
    );
}

#[test]
fn descriptors_without_positions_give_errors_without_lines() {
    let proto = "syntax = \"proto3\";\npackage a;\nmessage M {}\nservice S { rpc Get(M) returns (M); rpc get(M) returns (stream M); }\n";
    let project = Project::new(&[("a.proto", proto)]);
    let set = protox::compile(["a.proto"], [project.protos()]).unwrap();
    // Some compilers leave the positions away, others make an empty list of them.
    for positions in [None, Some(prost_types::SourceCodeInfo::default())] {
        let mut set = set.clone();
        set.file.iter_mut().for_each(|file| file.source_code_info = positions.clone());
        let error = project.builder().compile_fds(set).unwrap_err();
        let text = error.problems()[0].to_string();
        assert!(
            text.starts_with("a.proto: service a.S, method get: its name in Rust would be"),
            "{text}"
        );
    }
}

#[test]
fn a_service_alone_in_its_package_is_generated() {
    let empty = "syntax = \"proto3\";\npackage a;\nimport \"google/protobuf/empty.proto\";\n\
                 service Ping { rpc Ping(google.protobuf.Empty) returns (google.protobuf.Empty); }\n";
    let project = Project::new(&[("a.proto", empty)]);
    let builder = project.builder().build_client(false).build_worker(false);
    project.compile(builder, &["a.proto"]).unwrap();
    module(&project.parse("a.rs"), "ping_service");
}

/// The types that are described beside the messages, as `message "Ware" self::Ware`, with the `cfg` before it.
fn described(file: &syn::File) -> Vec<String> {
    let blocks = file.items.iter().filter_map(|item| match item {
        Item::Const(item) if item.ident == "_" => Some(&item.expr),
        _ => None,
    });
    let statements = blocks.flat_map(|expr| match &**expr {
        syn::Expr::Block(block) => block.block.stmts.as_slice(),
        _ => &[],
    });
    let tokens = statements.filter_map(|statement| match statement {
        syn::Stmt::Macro(statement) => Some(statement.mac.tokens.to_string()),
        syn::Stmt::Item(Item::Macro(item)) => Some(item.mac.tokens.to_string()),
        _ => None,
    });
    let parts = tokens.map(|tokens| tokens.replace(' ', ""));
    let parts = parts.flat_map(|tokens| tokens.split(';').map(str::to_owned).collect::<Vec<_>>());
    parts.filter(|part| part.contains("self::")).collect()
}

#[test]
fn messages_and_enums_are_described() {
    let file = shop(|builder| builder.enum_attribute("Kind", "#[cfg(feature = \"kinds\")]"));
    assert_eq!(
        described(&file),
        ["#[cfg(feature=\"kinds\")]enumeration\"Kind\"self::Kind", "message\"Ware\"self::Ware",]
    );
}

#[test]
fn packages_without_services_are_described_too() {
    let project = project();
    project.compile(project.builder(), &["shop.proto"]).unwrap();
    let file = project.parse("common.rs");
    assert_eq!(described(&file), ["message\"Money\"self::Money"]);
    assert_eq!(
        file.items.len(),
        3,
        "the message, descriptors, and what is implemented: no service"
    );
}

#[test]
fn what_is_not_generated_is_not_described() {
    // Said to the builder, and to prost-build itself.
    let file = shop(|builder| builder.extern_path(".shop.v1.Ware", "::wares::Ware"));
    assert!(described(&file).iter().all(|of| !of.contains("Ware")), "{:?}", described(&file));

    let mut config = Config::new();
    config.extern_path(".common", "::common");
    let project = project();
    let builder = project.builder();
    builder.compile_with_config(config, &["shop.proto"], &[project.protos()]).unwrap();
    assert_eq!(project.code(), ["shop.v1.rs"]);
}

#[test]
fn an_enum_without_zero_is_no_field_of_a_record() {
    let proto = "syntax = \"proto2\";\npackage a;\nenum Size { SMALL = 1; }\n\
                 message Outer { enum Level { LOW = 0; } message Self {} }\n";
    let project = Project::new(&[("a.proto", proto)]);
    project.compile(project.builder(), &["a.proto"]).unwrap();
    assert_eq!(
        described(&project.parse("a.rs")),
        [
            "enumeration_without_zero\"Size\"self::Size",
            "message\"Outer\"self::Outer",
            "enumeration\"Outer.Level\"self::outer::Level",
            "message\"Outer.Self\"self::outer::Self_",
        ]
    );
}
