//! Random records of every shape.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::collection::{btree_map, hash_map, vec};
use proptest::prelude::*;
use proptest::{num, option};
use test_records::records as r;

/// A record whose fields come from strategies. Tuples end at twelve, so they are nested.
macro_rules! record {
    ($record:ident { $($field:ident: $strategy:expr),* $(,)? }) => {
        nested!($($strategy,)*).prop_map(|pattern!($($field)*)| r::$record { $($field),* }).boxed()
    };
}

macro_rules! nested {
    () => { Just(()) };
    ($first:expr, $($rest:expr,)*) => { ($first, nested!($($rest,)*)) };
}

macro_rules! pattern {
    () => { () };
    ($first:ident $($rest:ident)*) => { ($first, pattern!($($rest)*)) };
}

const FEW: usize = 4;

/// Zero and other edges often, which plain chance misses.
fn number<T: Arbitrary + Clone + 'static>(edges: Vec<T>) -> BoxedStrategy<T> {
    prop_oneof![proptest::sample::select(edges), any::<T>()].boxed()
}

fn int32() -> BoxedStrategy<i32> {
    number(vec![0, 1, -1, i32::MIN, i32::MAX])
}

fn int64() -> BoxedStrategy<i64> {
    number(vec![0, 1, -1, i64::MIN, i64::MAX])
}

fn uint32() -> BoxedStrategy<u32> {
    number(vec![0, 1, 127, 128, u32::MAX])
}

fn uint64() -> BoxedStrategy<u64> {
    number(vec![0, 1, 127, 128, u64::MAX])
}

// No NaN, which equals nothing, and no -0.0, which prost does not write: `fields` has that.
fn float() -> BoxedStrategy<f32> {
    (num::f32::NORMAL | num::f32::SUBNORMAL | num::f32::INFINITE | num::f32::ZERO)
        .prop_map(|value| value + 0.0)
        .boxed()
}

fn double() -> BoxedStrategy<f64> {
    (num::f64::NORMAL | num::f64::SUBNORMAL | num::f64::INFINITE | num::f64::ZERO)
        .prop_map(|value| value + 0.0)
        .boxed()
}

fn text() -> BoxedStrategy<String> {
    "\\PC{0,8}".boxed()
}

fn blob() -> BoxedStrategy<Vec<u8>> {
    vec(any::<u8>(), 0..12).boxed()
}

fn shared() -> BoxedStrategy<Bytes> {
    blob().prop_map(Bytes::from).boxed()
}

fn few<T: std::fmt::Debug + 'static>(of: BoxedStrategy<T>) -> BoxedStrategy<Vec<T>> {
    vec(of, 0..FEW).boxed()
}

fn map<K, V>(key: BoxedStrategy<K>, value: BoxedStrategy<V>) -> BoxedStrategy<BTreeMap<K, V>>
where
    K: Ord + std::fmt::Debug + 'static,
    V: std::fmt::Debug + 'static,
{
    btree_map(key, value, 0..FEW).boxed()
}

pub(crate) fn scalars() -> BoxedStrategy<r::Scalars> {
    record!(Scalars {
        flag: any::<bool>(),
        int32: int32(),
        sint32: int32(),
        sfixed32: int32(),
        int64: int64(),
        sint64: int64(),
        sfixed64: int64(),
        uint32: uint32(),
        fixed32: uint32(),
        uint64: uint64(),
        fixed64: uint64(),
        float: float(),
        double: double(),
        string: text(),
        bytes: blob(),
        shared: shared(),
    })
}

pub(crate) fn options() -> BoxedStrategy<r::Options> {
    record!(Options {
        flag: any::<Option<bool>>(),
        int32: option::of(int32()),
        sint32: option::of(int32()),
        sfixed32: option::of(int32()),
        int64: option::of(int64()),
        sint64: option::of(int64()),
        sfixed64: option::of(int64()),
        uint32: option::of(uint32()),
        fixed32: option::of(uint32()),
        uint64: option::of(uint64()),
        fixed64: option::of(uint64()),
        float: option::of(float()),
        double: option::of(double()),
        string: option::of(text()),
        bytes: option::of(blob()),
        shared: option::of(shared()),
        color: option::of(color()),
        point: option::of(point()),
    })
}

pub(crate) fn lists() -> BoxedStrategy<r::Lists> {
    record!(Lists {
        flag: few(any::<bool>().boxed()),
        int32: few(int32()),
        sint32: few(int32()),
        sfixed32: few(int32()),
        int64: few(int64()),
        sint64: few(int64()),
        sfixed64: few(int64()),
        uint32: few(uint32()),
        fixed32: few(uint32()),
        uint64: few(uint64()),
        fixed64: few(uint64()),
        float: few(float()),
        double: few(double()),
        string: few(text()),
        bytes: few(blob()),
        shared: few(shared()),
        color: few(color()),
        point: few(point()),
        one_by_one: few(uint32()),
        color_by_color: few(color()),
    })
}

pub(crate) fn maps() -> BoxedStrategy<r::Maps> {
    record!(Maps {
        texts: map(text(), text()),
        flags: map(any::<bool>().boxed(), any::<bool>().boxed()),
        int32: map(int32(), int32()),
        sint32: map(int32(), blob()),
        sfixed32: map(int32(), int64()),
        int64: map(int64(), float()),
        sint64: map(int64(), double()),
        sfixed64: map(int64(), shared()),
        uint32: map(uint32(), color()),
        fixed32: map(uint32(), uint64()),
        uint64: map(uint64(), point()),
        fixed64: map(uint64(), uint32()),
        // Two entries have no order, and prost's map would have one.
        hashed: hash_map(text(), int64(), 0..2),
    })
}

pub(crate) fn point() -> BoxedStrategy<r::Point> {
    record!(Point { x: int32(), y: int32() })
}

pub(crate) fn color() -> BoxedStrategy<r::Color> {
    let all = [r::Color::Unspecified, r::Color::Red, r::Color::DarkBlue, r::Color::Money];
    proptest::sample::select(all.to_vec()).boxed()
}

pub(crate) fn level() -> BoxedStrategy<r::Level> {
    // A number that has a variant reads as that.
    let other = int32().prop_filter("it has a variant", |number| ![0, 2].contains(number));
    prop_oneof![Just(r::Level::Low), Just(r::Level::High), other.prop_map(r::Level::Other)].boxed()
}

pub(crate) fn tree() -> BoxedStrategy<r::Tree> {
    let leaf = record!(Tree {
        name: text(),
        left: Just(None),
        right: Just(None),
        more: Just(Vec::new()),
        here: point(),
        there: point().prop_map(Box::new),
        level: level(),
        levels: few(level()),
    });
    let grow = |inner: BoxedStrategy<r::Tree>| {
        record!(Tree {
            name: text(),
            left: option::of(inner.clone().prop_map(Box::new)),
            right: option::of(inner.clone().prop_map(Box::new)),
            more: vec(inner, 0..2),
            here: point(),
            there: point().prop_map(Box::new),
            level: level(),
            levels: few(level()),
        })
    };
    leaf.prop_recursive(2, 6, 3, grow).boxed()
}

pub(crate) fn choices() -> BoxedStrategy<r::Choices> {
    let plain = prop_oneof![
        text().prop_map(r::Contact::Mail),
        uint64().prop_map(r::Contact::Phone),
        int32().prop_map(r::Contact::Extension),
        point().prop_map(r::Contact::Meet),
        color().prop_map(r::Contact::Favourite),
        Just(r::Contact::Nobody(())),
        shared().prop_map(r::Contact::Key),
    ];
    let with = |contact: BoxedStrategy<Option<r::Contact>>| {
        record!(Choices {
            after: uint32(),
            contact: contact,
            before: uint32(),
            speed: option::of(prop_oneof![
                float().prop_map(r::Speed::Slow),
                double().prop_map(r::Speed::Fast),
            ]),
            cached: Just(0),
        })
    };
    let leaf = with(option::of(plain).boxed());
    leaf.prop_recursive(2, 4, 1, move |inner| {
        with(inner.prop_map(|inner| Some(r::Contact::Further(Box::new(inner)))).boxed())
    })
    .boxed()
}

pub(crate) fn defaults() -> BoxedStrategy<r::Defaults> {
    record!(Defaults {
        seconds: uint32(),
        offset: int32(),
        name: text(),
        color: color(),
        flag: any::<bool>(),
        share: double(),
        key: blob(),
    })
}

pub(crate) fn known() -> BoxedStrategy<r::Known> {
    let timestamp =
        (int64(), int32()).prop_map(|(seconds, nanos)| prost_types::Timestamp { seconds, nanos });
    let duration =
        (int64(), int32()).prop_map(|(seconds, nanos)| prost_types::Duration { seconds, nanos });
    let any_message =
        (text(), blob()).prop_map(|(type_url, value)| prost_types::Any { type_url, value });
    let mask = few(text()).prop_map(|paths| prost_types::FieldMask { paths });
    let value = prop_oneof![
        double().prop_map(prost_types::value::Kind::NumberValue),
        text().prop_map(prost_types::value::Kind::StringValue),
        any::<bool>().prop_map(prost_types::value::Kind::BoolValue),
    ];
    let value = option::of(value).prop_map(|kind| prost_types::Value { kind });
    record!(Known {
        at: option::of(timestamp),
        after: option::of(duration),
        any: few(any_message.boxed()),
        nothing: option::of(Just(())),
        mask: map(text(), mask.boxed()),
        tree: option::of(value),
    })
}

pub(crate) fn words() -> BoxedStrategy<r::Words> {
    record!(Words { r#type: text(), this: text(), last: uint32(), rest: Just(Default::default()) })
}

/// Each part about as often there as not.
pub(crate) fn everything() -> BoxedStrategy<r::Everything> {
    record!(Everything {
        scalars: option::of(scalars()),
        options: option::of(options()),
        lists: option::of(lists()),
        maps: option::of(maps()),
        tree: option::of(tree()),
        choices: option::of(choices()),
        defaults: option::of(defaults()),
        known: option::of(known()),
        words: option::of(words()),
        nothing: option::of(Just(r::Nothing)),
    })
}
