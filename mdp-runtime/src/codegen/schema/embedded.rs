//! Types whose descriptors are part of the generated code.

use std::any::TypeId;

use prost_types::{FileDescriptorProto, FileDescriptorSet, SourceCodeInfo};

use super::{ENUMS, MESSAGES, SERVICES, Schema, SchemaBuilder, TypeName, full_name, index};

/// The descriptors in the generated code of one package: those of its own types and services.
///
/// The types of other packages that it uses are in the code of those, so that each is in a program once.
#[derive(Debug)]
pub struct Descriptors {
    /// An encoded `google.protobuf.FileDescriptorSet`, packed with [`mdp_schema::pack`].
    pub packed: &'static [u8],
    /// The descriptors of the packages that it uses. Packages may use each other.
    pub uses: &'static [&'static Descriptors],
}

impl Descriptors {
    /// The files of this package, and of all that it uses.
    fn files(&'static self) -> Vec<FileDescriptorProto> {
        let mut all = SchemaBuilder::new("");
        let mut seen: Vec<*const Self> = Vec::new();
        let mut open = vec![self];
        while let Some(next) = open.pop() {
            if seen.contains(&std::ptr::from_ref(next)) {
                continue;
            }
            seen.push(std::ptr::from_ref(next));
            open.extend(next.uses);
            let schema =
                mdp_schema::unpack(next.packed).and_then(|bytes| Schema::from_bytes(None, &bytes));
            match schema {
                Ok(schema) => schema.descriptors().file.iter().for_each(|file| all.take_in(file)),
                // The generator has encoded the descriptors.
                Err(error) => unreachable!("embedded descriptors: {error}"),
            }
        }
        all.finish()
    }
}

/// Returns the schema of a service from descriptors in the generated code.
pub fn embedded_schema(service: &'static str, descriptors: &'static Descriptors) -> Schema {
    let set = FileDescriptorSet { file: descriptors.files() };
    match mdp_schema::service(&set, service) {
        Ok(schema) => schema,
        // The generator has cut out the same.
        Err(error) => unreachable!("the descriptors of {service}: {error}"),
    }
}

/// Returns the schema of a service whose descriptors are not in the generated code: an empty one.
pub fn no_schema() -> Schema {
    Schema::of_files(Vec::new())
}

/// Implements what Rust records and services need of the types of a generated module.
///
/// A type stands with the rest of its full name, behind the name of the package.
#[doc(hidden)]
#[macro_export]
macro_rules! __described {
    ($descriptors:ident, $package:literal; $($(#[$cfg:meta])* $kind:ident $name:literal $of:ty;)*) => {
        $(
            $(#[$cfg])*
            impl $crate::codegen::Described for $of {
                fn describe(schemas: &mut $crate::codegen::SchemaBuilder) -> $crate::codegen::TypeName {
                    const NAME: &str = ::core::concat!($package, $name);
                    $crate::__described!(@describe $kind schemas $descriptors NAME)
                }
            }
            $crate::__described!(@field $kind [$(#[$cfg])*] $of);
        )*
    };
    (@describe message $schemas:ident $descriptors:ident $name:ident) => {
        $schemas.embedded_message::<Self>($name, &$descriptors)
    };
    (@describe $kind:ident $schemas:ident $descriptors:ident $name:ident) => {
        $schemas.embedded_enumeration::<Self>($name, &$descriptors)
    };
    (@field message [$($cfg:tt)*] $of:ty) => {
        $($cfg)*
        impl $crate::codegen::record::FieldType for $of {
            type Codec = $crate::codegen::record::EmbeddedMessage;
        }
    };
    // An enum with the zero value that proto3 requires for a field.
    (@field enumeration [$($cfg:tt)*] $of:ty) => {
        $($cfg)*
        impl $crate::codegen::record::FieldType for $of {
            type Codec = $crate::codegen::record::Enum;
        }
        $($cfg)*
        impl $crate::codegen::record::Enumeration for $of {
            fn zero() -> Self {
                ::core::default::Default::default()
            }

            fn number(&self) -> i32 {
                *self as i32
            }

            fn from_number(number: i32) -> ::core::option::Option<Self> {
                ::core::result::Result::ok(::core::convert::TryFrom::try_from(number))
            }
        }
    };
    (@field enumeration_without_zero [$($cfg:tt)*] $of:ty) => {};
}

impl SchemaBuilder {
    /// Adds a message and all types that it uses from the descriptors of its package. Returns the message's name.
    pub fn embedded_message<T: 'static + ?Sized>(
        &mut self,
        name: &'static str,
        descriptors: &'static Descriptors,
    ) -> TypeName {
        self.embedded::<T>(TypeName::Message(name.to_owned()), descriptors)
    }

    /// Adds an enum from the descriptors of its package. Returns the enum's name.
    pub fn embedded_enumeration<T: 'static + ?Sized>(
        &mut self,
        name: &'static str,
        descriptors: &'static Descriptors,
    ) -> TypeName {
        self.embedded::<T>(TypeName::Enumeration(name.to_owned()), descriptors)
    }

    fn embedded<T: 'static + ?Sized>(
        &mut self,
        name: TypeName,
        descriptors: &'static Descriptors,
    ) -> TypeName {
        if let Some(known) = self.known.get(&TypeId::of::<T>()) {
            return known.clone();
        }
        self.known.insert(TypeId::of::<T>(), name.clone());
        let set = FileDescriptorSet { file: descriptors.files() };
        match mdp_schema::types(&set, [name.as_str()]) {
            Ok(part) => part.descriptors().file.iter().for_each(|file| self.take_in(file)),
            // The generator has cut out the same.
            Err(error) => unreachable!("the descriptors of {}: {error}", name.as_str()),
        }
        name
    }

    /// Returns the name of a google.protobuf type that was already added together with a type that uses it.
    pub(super) fn came<T: 'static + ?Sized>(&mut self, name: TypeName) -> Option<TypeName> {
        let first = self.embedded.insert(name.as_str().trim_start_matches('.').to_owned());
        if first || self.known.contains_key(&TypeId::of::<T>()) {
            return None;
        }
        self.known.insert(TypeId::of::<T>(), name.clone());
        Some(name)
    }

    /// Adds the new declarations of a file to the file with the same name.
    fn take_in(&mut self, from: &FileDescriptorProto) {
        let package = from.package();
        let mut is_new = |name: &str| self.embedded.insert(full_name(package, name));
        let messages: Vec<_> =
            (0..).zip(&from.message_type).filter(|(_, item)| is_new(item.name())).collect();
        let enums: Vec<_> =
            (0..).zip(&from.enum_type).filter(|(_, item)| is_new(item.name())).collect();
        let services: Vec<_> =
            (0..).zip(&from.service).filter(|(_, item)| is_new(item.name())).collect();
        if messages.is_empty() && enums.is_empty() && services.is_empty() {
            return;
        }
        let name = self.name_for(from);
        let file = self.file(&name, package);
        file.syntax.clone_from(&from.syntax);
        let mut places = Vec::with_capacity(messages.len() + enums.len() + services.len());
        for (old, item) in messages {
            places.push((MESSAGES, old, index(file.message_type.len())));
            file.message_type.push(item.clone());
        }
        for (old, item) in enums {
            places.push((ENUMS, old, index(file.enum_type.len())));
            file.enum_type.push(item.clone());
        }
        for (old, item) in services {
            places.push((SERVICES, old, index(file.service.len())));
            file.service.push(item.clone());
        }
        move_comments(from, &places, file);
    }

    /// Returns the file's name, changed if a different file has this name: another package, or another syntax.
    fn name_for(&self, from: &FileDescriptorProto) -> String {
        let mut name = from.name().to_owned();
        while self.files.get(&name).is_some_and(|file| {
            file.package() != from.package() || is_proto3(file) != is_proto3(from)
        }) {
            name.insert_str(0, "also/");
        }
        name
    }
}

/// A file without a syntax is proto2.
fn is_proto3(file: &FileDescriptorProto) -> bool {
    file.syntax() == "proto3"
}

/// Moves comments together with their declarations, from the old paths to the new ones.
fn move_comments(
    from: &FileDescriptorProto,
    places: &[(i32, i32, i32)],
    to: &mut FileDescriptorProto,
) {
    let locations = from.source_code_info.iter().flat_map(|info| &info.location);
    let moved: Vec<_> = locations
        .filter_map(|location| {
            let mut moved = location.clone();
            let list = *moved.path.first()?;
            let place = moved.path.get_mut(1)?;
            let (_, _, new) =
                places.iter().find(|(kind, old, _)| (*kind, *old) == (list, *place))?;
            *place = *new;
            Some(moved)
        })
        .collect();
    if !moved.is_empty() {
        to.source_code_info.get_or_insert_with(SourceCodeInfo::default).location.extend(moved);
    }
}
