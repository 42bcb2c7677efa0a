//! Records that another macro writes, and a runtime under another name.

use prost::Message;

mod renamed {
    pub(crate) use mdp_runtime as transport;
}

/// Names that a macro brings must not get in the way of those that the derive brings.
macro_rules! declare {
    ($record:ident { $($number:literal $field:ident: $ty:ty),* }) => {
        #[derive(mdp_runtime::MdpRecord, Clone, Debug, PartialEq)]
        #[mdp(crate = crate::macros::renamed::transport)]
        struct $record {
            $(#[mdp($number)] $field: $ty,)*
            #[mdp(99)]
            always: Option<Vec<u8>>,
        }
    };
}

declare!(Written { 1 buf: u32, 2 tag: Vec<String>, 3 ctx: Option<Box<Written>>, 4 place: () });

#[test]
fn names_do_not_meet() {
    let inner = Written { buf: 1, ..Written::default() };
    let record = Written {
        buf: 2,
        tag: vec!["a".to_owned()],
        ctx: Some(Box::new(inner)),
        place: (),
        always: Some(vec![1]),
    };
    let bytes = record.encode_to_vec();
    assert_eq!(crate::hex(&bytes), "08021201611a04080122002200".to_owned() + "9a060101");
    assert_eq!(Written::decode(bytes.as_slice()).unwrap(), record);
}

/// Where not even `Option` and `Send` have names.
#[no_implicit_prelude]
mod strict {
    #[derive(
        ::mdp_runtime::MdpRecord, ::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq,
    )]
    #[mdp(reserved(9))]
    pub(crate) struct Strict {
        #[mdp(1, default = "a")]
        pub(crate) text: ::std::string::String,
        #[mdp(2)]
        pub(crate) map: ::std::collections::BTreeMap<u32, ::std::vec::Vec<u8>>,
        #[mdp(3)]
        pub(crate) tone: ::core::option::Option<Tone>,
        #[mdp(oneof)]
        pub(crate) choice: ::core::option::Option<Choice>,
        #[mdp(unknown)]
        pub(crate) rest: ::mdp_runtime::UnknownFields,
    }

    #[derive(
        ::mdp_runtime::MdpRecord, ::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq,
    )]
    pub(crate) enum Tone {
        #[mdp(0)]
        Plain,
        #[mdp(other)]
        Other(i32),
    }

    #[derive(
        ::mdp_runtime::MdpRecord, ::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq,
    )]
    pub(crate) enum Choice {
        #[mdp(4)]
        One(Tone),
    }
}

#[test]
fn no_prelude_is_needed() {
    let record = strict::Strict {
        choice: Some(strict::Choice::One(strict::Tone::Plain)),
        tone: Some(strict::Tone::Other(5)),
        ..strict::Strict::default()
    };
    let bytes = record.encode_to_vec();
    assert_eq!(crate::hex(&bytes), "0a016118052000");
    assert_eq!(strict::Strict::decode(bytes.as_slice()).unwrap(), record);
}
