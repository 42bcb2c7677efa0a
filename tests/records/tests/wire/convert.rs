//! From a record to prost's message of it, field by field and not by the wire.

use test_records::{pb, records as r};

/// A message with the fields of a record that have the same type in both, and others.
macro_rules! message {
    ($message:ident of $record:ident { $($same:ident)* } $($field:ident: $value:expr),* $(,)?) => {
        pb::$message {
            $($same: $record.$same.clone(),)*
            $($field: $value,)*
        }
    };
}

pub(crate) fn scalars(it: &r::Scalars) -> pb::Scalars {
    message!(Scalars of it {
        flag int32 sint32 sfixed32 int64 sint64 sfixed64 uint32 fixed32 uint64 fixed64 float double
        string bytes
    } shared: it.shared.to_vec())
}

pub(crate) fn options(it: &r::Options) -> pb::Options {
    message!(Options of it {
        flag int32 sint32 sfixed32 int64 sint64 sfixed64 uint32 fixed32 uint64 fixed64 float double
        string bytes
    }
        shared: it.shared.as_ref().map(|bytes| bytes.to_vec()),
        color: it.color.map(color),
        point: it.point.as_ref().map(point),
    )
}

pub(crate) fn lists(it: &r::Lists) -> pb::Lists {
    message!(Lists of it {
        flag int32 sint32 sfixed32 int64 sint64 sfixed64 uint32 fixed32 uint64 fixed64 float double
        string bytes one_by_one
    }
        shared: it.shared.iter().map(|bytes| bytes.to_vec()).collect(),
        color: it.color.iter().copied().map(color).collect(),
        point: it.point.iter().map(point).collect(),
        color_by_color: it.color_by_color.iter().copied().map(color).collect(),
    )
}

pub(crate) fn maps(it: &r::Maps) -> pb::Maps {
    message!(Maps of it { texts flags int32 sint32 sfixed32 int64 sint64 fixed32 fixed64 }
        sfixed64: it.sfixed64.iter().map(|(key, bytes)| (*key, bytes.to_vec())).collect(),
        uint32: it.uint32.iter().map(|(key, value)| (*key, color(*value))).collect(),
        uint64: it.uint64.iter().map(|(key, value)| (*key, point(value))).collect(),
        hashed: it.hashed.clone().into_iter().collect(),
    )
}

pub(crate) fn point(it: &r::Point) -> pb::Point {
    message!(Point of it { x y })
}

pub(crate) fn color(it: r::Color) -> i32 {
    i32::from(match it {
        r::Color::Unspecified => pb::Color::Unspecified,
        r::Color::Red => pb::Color::Red,
        r::Color::DarkBlue => pb::Color::DarkBlue,
        r::Color::Money => pb::Color::OfMoney,
    })
}

pub(crate) fn level(it: r::Level) -> i32 {
    match it {
        r::Level::Low => pb::Level::Low.into(),
        r::Level::High => pb::Level::High.into(),
        r::Level::Other(number) => number,
    }
}

pub(crate) fn tree(it: &r::Tree) -> pb::Tree {
    message!(Tree of it { name }
        left: it.left.as_deref().map(|it| Box::new(tree(it))),
        right: it.right.as_deref().map(|it| Box::new(tree(it))),
        more: it.more.iter().map(tree).collect(),
        here: Some(point(&it.here)),
        there: Some(point(&it.there)),
        level: level(it.level),
        levels: it.levels.iter().copied().map(level).collect(),
    )
}

pub(crate) fn choices(it: &r::Choices) -> pb::Choices {
    message!(Choices of it { after before }
        contact: it.contact.as_ref().map(contact),
        speed: it.speed.as_ref().map(|speed| match speed {
            r::Speed::Slow(speed) => pb::choices::Speed::Slow(*speed),
            r::Speed::Fast(speed) => pb::choices::Speed::Fast(*speed),
        }),
    )
}

pub(crate) fn contact(it: &r::Contact) -> pb::choices::Contact {
    use pb::choices::Contact;
    match it {
        r::Contact::Mail(mail) => Contact::Mail(mail.clone()),
        r::Contact::Phone(number) => Contact::Phone(*number),
        r::Contact::Extension(number) => Contact::Extension(*number),
        r::Contact::Meet(place) => Contact::Meet(point(place)),
        r::Contact::Favourite(it) => Contact::Favourite(color(*it)),
        r::Contact::Nobody(()) => Contact::None(()),
        r::Contact::Key(bytes) => Contact::Key(bytes.to_vec()),
        r::Contact::Further(further) => Contact::Further(Box::new(choices(further))),
    }
}

pub(crate) fn defaults(it: &r::Defaults) -> pb::Defaults {
    pb::Defaults {
        seconds: Some(it.seconds),
        offset: Some(it.offset),
        name: Some(it.name.clone()),
        color: Some(color(it.color)),
        flag: Some(it.flag),
        share: Some(it.share),
        key: Some(it.key.clone()),
    }
}

pub(crate) fn known(it: &r::Known) -> pb::Known {
    message!(Known of it { at after any nothing mask tree })
}

pub(crate) fn words(it: &r::Words) -> pb::Words {
    message!(Words of it { r#type last } self_: it.this.clone())
}

pub(crate) fn everything(it: &r::Everything) -> pb::Everything {
    pb::Everything {
        scalars: it.scalars.as_ref().map(scalars),
        options: it.options.as_ref().map(options),
        lists: it.lists.as_ref().map(lists),
        maps: it.maps.as_ref().map(maps),
        tree: it.tree.as_ref().map(tree),
        choices: it.choices.as_ref().map(choices),
        defaults: it.defaults.as_ref().map(defaults),
        known: it.known.as_ref().map(known),
        words: it.words.as_ref().map(words),
        nothing: it.nothing.map(|r::Nothing| pb::Nothing {}),
    }
}
