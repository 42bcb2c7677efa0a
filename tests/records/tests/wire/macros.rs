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
