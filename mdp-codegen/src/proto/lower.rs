//! From descriptors to the model.

use prost_types::method_options::IdempotencyLevel;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorProto, MethodDescriptorProto,
    MethodOptions as MethodOptionsProto, ServiceDescriptorProto,
};

use super::custom::Custom;
use super::descriptors::Loaded;
use super::options::{self, MethodOptions, Said};
use super::settings::Settings;
use super::sources::{Sources, parts};
use crate::errors::{Mistake, Problem};
use crate::model::{
    Comments, Declaration, Deprecated, File, Files, Idempotency, Method, OnCancel, Service, Shape,
    full_name,
};

/// Lowers all files. Mistakes are added to the problems.
pub(crate) fn files(settings: &Settings, loaded: &Loaded, problems: &mut Vec<Problem>) -> Files {
    let said = Said::of(&loaded.set, &loaded.encoded);
    let custom = Custom::of(&loaded.pool);
    let files = loaded.set.file.iter().map(|file| {
        let sources = Sources::of(file);
        let mut lowering = Lowering { settings, said: &said, custom: &custom, sources, problems };
        lowering.file(file, !loaded.imported.iter().any(|name| name == file.name()))
    });
    let files = files.collect();
    Files::new(files, loaded.encoded.clone())
}

/// Lowers one file.
struct Lowering<'a> {
    settings: &'a Settings,
    said: &'a Said,
    custom: &'a Custom<'a>,
    sources: Sources<'a>,
    problems: &'a mut Vec<Problem>,
}

impl Lowering<'_> {
    fn file(&mut self, file: &FileDescriptorProto, requested: bool) -> File {
        let package = file.package();
        let mut lowered = File::new(file.name(), package);
        lowered.requested = requested;
        lowered.imports.clone_from(&file.dependency);
        lowered.options = self.custom.file(file.name());
        for (item, number) in file.enum_type.iter().zip(0..) {
            self.enumeration(&mut lowered, "", item, &[parts::FILE_ENUMS, number]);
        }
        for (item, number) in file.message_type.iter().zip(0..) {
            self.message(&mut lowered, "", item, &[parts::FILE_MESSAGES, number]);
        }
        for (item, number) in file.service.iter().zip(0..) {
            let service = self.service(package, item, &[parts::FILE_SERVICES, number]);
            lowered.services.push(service);
        }
        lowered
    }

    fn message(&self, file: &mut File, outer: &str, item: &DescriptorProto, path: &[i32]) {
        if item.options.as_ref().is_some_and(|options| options.map_entry()) {
            return;
        }
        let name = full_name(outer, item.name());
        let declared = self.declaration(&file.package, &name, path);
        file.messages.push(declared);
        for (item, number) in item.enum_type.iter().zip(0..) {
            self.enumeration(file, &name, item, &inner(path, parts::MESSAGE_ENUMS, number));
        }
        for (item, number) in item.nested_type.iter().zip(0..) {
            self.message(file, &name, item, &inner(path, parts::MESSAGE_MESSAGES, number));
        }
    }

    fn enumeration(&self, file: &mut File, outer: &str, item: &EnumDescriptorProto, path: &[i32]) {
        let name = full_name(outer, item.name());
        let declared = self.declaration(&file.package, &name, path);
        file.enums.push(declared);
    }

    fn declaration(&self, package: &str, name: &str, path: &[i32]) -> Declaration {
        let mut declared = Declaration::new(package, name);
        declared.comments = self.comments(&declared.full_name, path);
        declared.place = Some(self.sources.place(path));
        declared
    }

    fn service(&mut self, package: &str, item: &ServiceDescriptorProto, path: &[i32]) -> Service {
        let mut service = Service::new(package, item.name());
        let name = service.full_name();
        let deprecated = item.options.as_ref().is_some_and(|options| options.deprecated());
        service.comments = self.comments(&name, path);
        service.deprecated = deprecated.then(Deprecated::default);
        service.options = self.custom.service(&name);
        service.place = Some(self.sources.place(path));
        for (method, number) in item.method.iter().zip(0..) {
            let path = inner(path, parts::SERVICE_METHODS, number);
            self.method(&mut service, &name, method, &path);
        }
        service
    }

    fn method(&mut self, to: &mut Service, of: &str, item: &MethodDescriptorProto, path: &[i32]) {
        let number = to.methods.len();
        let full = format!("{of}.{}", item.name());
        let shape = Shape::of(item.client_streaming(), item.server_streaming());
        let options = item.options.as_ref();
        let said = self.said.method(of, number);
        let on_cancel = on_cancel(said);
        let detaches = self.settings.is_detached(&full);
        let mut method = Method::new(item.name(), shape);
        method.comments = self.comments(&full, path);
        method.input = without_dot(item.input_type());
        method.output = without_dot(item.output_type());
        method.idempotency = options.map_or(Idempotency::Unknown, idempotency);
        method.timeout_ms = said.timeout_ms;
        // A value that is too large for the number type is out of range, too.
        method.retry_attempts =
            said.retry_attempts.map(|attempts| u8::try_from(attempts).unwrap_or(u8::MAX));
        method.blocking = said.blocking || self.settings.is_blocking(&full);
        method.on_cancel =
            if detaches { OnCancel::Detach } else { on_cancel.clone().unwrap_or_default() };
        method.deprecated =
            options.is_some_and(|options| options.deprecated()).then(Deprecated::default);
        method.options = self.custom.method(of, number);
        method.place = Some(self.sources.place(path));
        to.methods.push(method);
        let mistake = on_cancel.err();
        self.problems.extend(mistake.map(|mistake| Problem::of_method(to, number, mistake)));
    }

    fn comments(&self, full_name: &str, path: &[i32]) -> Comments {
        match self.settings.without_comments(full_name) {
            true => Comments::default(),
            false => self.sources.comments(path),
        }
    }
}

/// A newer copy of the option's file may have further values.
fn on_cancel(said: MethodOptions) -> Result<OnCancel, Mistake> {
    match options::OnCancel::try_from(said.on_cancel) {
        Ok(options::OnCancel::Cancel) => Ok(OnCancel::Cancel),
        Ok(options::OnCancel::Detach) => Ok(OnCancel::Detach),
        Err(_) => Err(Mistake::UnknownOnCancel { value: said.on_cancel }),
    }
}

fn idempotency(options: &MethodOptionsProto) -> Idempotency {
    match options.idempotency_level() {
        IdempotencyLevel::IdempotencyUnknown => Idempotency::Unknown,
        IdempotencyLevel::NoSideEffects => Idempotency::NoSideEffects,
        IdempotencyLevel::Idempotent => Idempotency::Idempotent,
    }
}

fn inner(path: &[i32], part: i32, number: i32) -> Vec<i32> {
    [path, &[part, number]].concat()
}

fn without_dot(full_name: &str) -> String {
    full_name.strip_prefix('.').unwrap_or(full_name).to_owned()
}
