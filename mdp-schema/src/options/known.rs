//! The options of `google/protobuf/descriptor.proto`, which a set has only if a file imports it.
//!
//! The features of editions are left out: no file of an edition is printed.

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
};

use Type::{Bool, Enum, Int32, Message, String as Text};

/// The number, name, and type of a field, with the name of a type that has one. `*` before it: the field is repeated.
type Field = (i32, &'static str, Type, &'static str);

const MESSAGES: &[(&str, &[Field])] = &[
    (
        "FileOptions",
        &[
            (1, "java_package", Text, ""),
            (8, "java_outer_classname", Text, ""),
            (9, "optimize_for", Enum, "OptimizeMode"),
            (10, "java_multiple_files", Bool, ""),
            (11, "go_package", Text, ""),
            (16, "cc_generic_services", Bool, ""),
            (17, "java_generic_services", Bool, ""),
            (18, "py_generic_services", Bool, ""),
            (20, "java_generate_equals_and_hash", Bool, ""),
            (23, "deprecated", Bool, ""),
            (27, "java_string_check_utf8", Bool, ""),
            (31, "cc_enable_arenas", Bool, ""),
            (36, "objc_class_prefix", Text, ""),
            (37, "csharp_namespace", Text, ""),
            (39, "swift_prefix", Text, ""),
            (40, "php_class_prefix", Text, ""),
            (41, "php_namespace", Text, ""),
            (42, "php_generic_services", Bool, ""),
            (44, "php_metadata_namespace", Text, ""),
            (45, "ruby_package", Text, ""),
        ],
    ),
    (
        "MessageOptions",
        &[
            (1, "message_set_wire_format", Bool, ""),
            (2, "no_standard_descriptor_accessor", Bool, ""),
            (3, "deprecated", Bool, ""),
            (7, "map_entry", Bool, ""),
            (11, "deprecated_legacy_json_field_conflicts", Bool, ""),
        ],
    ),
    (
        "FieldOptions",
        &[
            (1, "ctype", Enum, "CType"),
            (2, "packed", Bool, ""),
            (3, "deprecated", Bool, ""),
            (5, "lazy", Bool, ""),
            (6, "jstype", Enum, "JSType"),
            (10, "weak", Bool, ""),
            (15, "unverified_lazy", Bool, ""),
            (16, "debug_redact", Bool, ""),
            (17, "retention", Enum, "OptionRetention"),
            (19, "targets", Enum, "*OptionTargetType"),
            (20, "edition_defaults", Message, "*EditionDefault"),
            (22, "feature_support", Message, "FeatureSupport"),
        ],
    ),
    ("OneofOptions", &[]),
    (
        "EnumOptions",
        &[
            (2, "allow_alias", Bool, ""),
            (3, "deprecated", Bool, ""),
            (6, "deprecated_legacy_json_field_conflicts", Bool, ""),
        ],
    ),
    (
        "EnumValueOptions",
        &[
            (1, "deprecated", Bool, ""),
            (3, "debug_redact", Bool, ""),
            (4, "feature_support", Message, "FeatureSupport"),
        ],
    ),
    ("ServiceOptions", &[(33, "deprecated", Bool, "")]),
    (
        "MethodOptions",
        &[(33, "deprecated", Bool, ""), (34, "idempotency_level", Enum, "IdempotencyLevel")],
    ),
    (
        "ExtensionRangeOptions",
        &[
            (2, "declaration", Message, "*Declaration"),
            (3, "verification", Enum, "VerificationState"),
        ],
    ),
    ("EditionDefault", &[(2, "value", Text, ""), (3, "edition", Enum, "Edition")]),
    (
        "FeatureSupport",
        &[
            (1, "edition_introduced", Enum, "Edition"),
            (2, "edition_deprecated", Enum, "Edition"),
            (3, "deprecation_warning", Text, ""),
            (4, "edition_removed", Enum, "Edition"),
        ],
    ),
    (
        "Declaration",
        &[
            (1, "number", Int32, ""),
            (2, "full_name", Text, ""),
            (3, "type", Text, ""),
            (5, "reserved", Bool, ""),
            (6, "repeated", Bool, ""),
        ],
    ),
];

const ENUMS: &[(&str, &[(i32, &str)])] = &[
    ("OptimizeMode", &[(1, "SPEED"), (2, "CODE_SIZE"), (3, "LITE_RUNTIME")]),
    ("CType", &[(0, "STRING"), (1, "CORD"), (2, "STRING_PIECE")]),
    ("JSType", &[(0, "JS_NORMAL"), (1, "JS_STRING"), (2, "JS_NUMBER")]),
    (
        "OptionRetention",
        &[(0, "RETENTION_UNKNOWN"), (1, "RETENTION_RUNTIME"), (2, "RETENTION_SOURCE")],
    ),
    (
        "OptionTargetType",
        &[
            (0, "TARGET_TYPE_UNKNOWN"),
            (1, "TARGET_TYPE_FILE"),
            (2, "TARGET_TYPE_EXTENSION_RANGE"),
            (3, "TARGET_TYPE_MESSAGE"),
            (4, "TARGET_TYPE_FIELD"),
            (5, "TARGET_TYPE_ONEOF"),
            (6, "TARGET_TYPE_ENUM"),
            (7, "TARGET_TYPE_ENUM_ENTRY"),
            (8, "TARGET_TYPE_SERVICE"),
            (9, "TARGET_TYPE_METHOD"),
        ],
    ),
    ("IdempotencyLevel", &[(0, "IDEMPOTENCY_UNKNOWN"), (1, "NO_SIDE_EFFECTS"), (2, "IDEMPOTENT")]),
    ("VerificationState", &[(0, "DECLARATION"), (1, "UNVERIFIED")]),
    (
        "Edition",
        &[
            (0, "EDITION_UNKNOWN"),
            (900, "EDITION_LEGACY"),
            (998, "EDITION_PROTO2"),
            (999, "EDITION_PROTO3"),
            (1000, "EDITION_2023"),
            (1001, "EDITION_2024"),
            (i32::MAX, "EDITION_MAX"),
        ],
    ),
];

/// Returns the messages with options, and the messages that they use, with their names in the package
/// `google.protobuf`.
pub(super) fn messages() -> impl Iterator<Item = DescriptorProto> {
    MESSAGES.iter().map(|(name, fields)| DescriptorProto {
        name: Some((*name).to_owned()),
        field: fields.iter().map(field).collect(),
        ..DescriptorProto::default()
    })
}

/// Returns the enums that options use.
pub(super) fn enums() -> impl Iterator<Item = EnumDescriptorProto> {
    let value = |(number, name): &(i32, &str)| EnumValueDescriptorProto {
        name: Some((*name).to_owned()),
        number: Some(*number),
        options: None,
    };
    ENUMS.iter().map(move |(name, values)| EnumDescriptorProto {
        name: Some((*name).to_owned()),
        value: values.iter().map(value).collect(),
        ..EnumDescriptorProto::default()
    })
}

fn field((number, name, kind, of): &Field) -> FieldDescriptorProto {
    let (label, of) = match of.strip_prefix('*') {
        Some(of) => (Label::Repeated, of),
        None => (Label::Optional, *of),
    };
    FieldDescriptorProto {
        name: Some((*name).to_owned()),
        number: Some(*number),
        label: Some(label.into()),
        r#type: Some((*kind).into()),
        type_name: (!of.is_empty()).then(|| format!(".google.protobuf.{of}")),
        ..FieldDescriptorProto::default()
    }
}
