//! The rules, by buf's names, with their levels.

use std::fmt;

/// The required level of compatibility.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The bytes on the wire.
    Wire,
    /// The bytes on the wire, and protobuf's JSON.
    WireJson,
}

use Level::{Wire, WireJson};

macro_rules! rules {
    ($($rule:ident = $name:literal in $levels:expr, $what:literal;)*) => {
        /// A rule that a new schema can break.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $(#[doc = $what] $rule,)*
        }

        impl Rule {
            /// All rules.
            pub const ALL: &[Self] = &[$(Self::$rule),*];

            /// Returns the name of the rule in buf.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$rule => $name,)*
                }
            }

            const fn levels(self) -> &'static [Level] {
                match self {
                    $(Self::$rule => $levels,)*
                }
            }
        }
    };
}

const BOTH: &[Level] = &[Wire, WireJson];

rules! {
    EnumSameJsonFormat = "ENUM_SAME_JSON_FORMAT" in &[WireJson],
        "An enum does not lose its JSON format: it does not go from proto3 to proto2.";
    EnumValueNoDeleteUnlessNameReserved = "ENUM_VALUE_NO_DELETE_UNLESS_NAME_RESERVED" in &[WireJson],
        "A value is deleted only if its name becomes reserved.";
    EnumValueNoDeleteUnlessNumberReserved = "ENUM_VALUE_NO_DELETE_UNLESS_NUMBER_RESERVED" in BOTH,
        "A value is deleted only if its number becomes reserved.";
    EnumValueSameName = "ENUM_VALUE_SAME_NAME" in &[WireJson],
        "A value keeps its names.";
    FieldNoDeleteUnlessNameReserved = "FIELD_NO_DELETE_UNLESS_NAME_RESERVED" in &[WireJson],
        "A field is deleted only if its name becomes reserved.";
    FieldNoDeleteUnlessNumberReserved = "FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED" in BOTH,
        "A field is deleted only if its number becomes reserved.";
    FieldSameDefault = "FIELD_SAME_DEFAULT" in BOTH,
        "A field keeps its default, if it has one.";
    FieldSameJsonName = "FIELD_SAME_JSON_NAME" in &[WireJson],
        "A field keeps its name in JSON.";
    FieldSameName = "FIELD_SAME_NAME" in &[WireJson],
        "A field keeps its name.";
    FieldSameOneof = "FIELD_SAME_ONEOF" in BOTH,
        "The same fields exclude a field. The name of its oneof may change.";
    FieldWireCompatibleCardinality = "FIELD_WIRE_COMPATIBLE_CARDINALITY" in &[Wire],
        "A repeated field does not become a single one, nor a single field a packed one. A map is repeated.";
    FieldWireCompatibleType = "FIELD_WIRE_COMPATIBLE_TYPE" in &[Wire],
        "A field's new type reads what the old one wrote.";
    FieldWireJsonCompatibleCardinality = "FIELD_WIRE_JSON_COMPATIBLE_CARDINALITY" in &[WireJson],
        "A field does not change between single, repeated and map.";
    FieldWireJsonCompatibleType = "FIELD_WIRE_JSON_COMPATIBLE_TYPE" in &[WireJson],
        "A field's new type reads what the old one wrote, in JSON too.";
    FileSamePackage = "FILE_SAME_PACKAGE" in BOTH,
        "A file keeps its package.";
    MessageSameJsonFormat = "MESSAGE_SAME_JSON_FORMAT" in &[WireJson],
        "A message does not lose its JSON format: it does not go from proto3 to proto2.";
    MessageSameRequiredFields = "MESSAGE_SAME_REQUIRED_FIELDS" in BOTH,
        "No field becomes required or ceases to be required.";
    PackageServiceNoDelete = "PACKAGE_SERVICE_NO_DELETE" in BOTH,
        "A service is not deleted. buf has the rule at its level PACKAGE.";
    ReservedEnumNoDelete = "RESERVED_ENUM_NO_DELETE" in BOTH,
        "What is reserved in an enum stays reserved.";
    ReservedMessageNoDelete = "RESERVED_MESSAGE_NO_DELETE" in BOTH,
        "What is reserved in a message stays reserved.";
    RpcNoDelete = "RPC_NO_DELETE" in BOTH,
        "A method is not deleted. buf has the rule at its levels FILE and PACKAGE.";
    RpcSameClientStreaming = "RPC_SAME_CLIENT_STREAMING" in BOTH,
        "A method keeps taking one request, or a stream.";
    RpcSameIdempotencyLevel = "RPC_SAME_IDEMPOTENCY_LEVEL" in BOTH,
        "A method keeps its idempotency level.";
    RpcSameRequestType = "RPC_SAME_REQUEST_TYPE" in BOTH,
        "A method keeps the type of its requests.";
    RpcSameResponseType = "RPC_SAME_RESPONSE_TYPE" in BOTH,
        "A method keeps the type of its replies.";
    RpcSameServerStreaming = "RPC_SAME_SERVER_STREAMING" in BOTH,
        "A method keeps giving one reply, or a stream.";
}

impl Rule {
    /// Whether the rule belongs to this level.
    pub fn is_of(self, level: Level) -> bool {
        self.levels().contains(&level)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
