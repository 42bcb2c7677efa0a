//! Compares services and their methods.

use prost_types::MethodDescriptorProto;

use super::renamed::What;
use super::scope::Scope;
use super::{Check, Rule};
use crate::hash::idempotency;

impl Check<'_> {
    pub(super) fn services(&mut self, scope: &Scope<'_>) {
        for (name, before) in self.old.services.iter().filter(|(name, _)| scope.has_service(name)) {
            let Some(after) = self.new.services.get(name) else {
                self.file = before.file.name().to_owned();
                let message =
                    "the service is gone: its callers get UNAVAILABLE, NO_SERVICE".to_owned();
                self.report(Rule::PackageServiceNoDelete, name, message);
                continue;
            };
            self.file = after.file.name().to_owned();
            for method in &before.item.method {
                let element = format!("{name}/{}", method.name());
                let mut methods = after.item.method.iter();
                match methods.find(|other| other.name() == method.name()) {
                    Some(new) => self.method(&element, method, new),
                    None => {
                        let message = "the method is gone: its callers get UNIMPLEMENTED";
                        self.report(Rule::RpcNoDelete, &element, message.to_owned());
                    }
                }
            }
        }
    }

    fn method(&mut self, name: &str, old: &MethodDescriptorProto, new: &MethodDescriptorProto) {
        let streams = |what: &'static str| {
            move |_, many| match many {
                true => format!("it takes a stream of {what} now, in place of one"),
                false => format!("it no longer has a stream of {what}"),
            }
        };
        let requests = (old.input_type(), new.input_type());
        self.type_of(Rule::RpcSameRequestType, name, What::Requests, requests);
        let replies = (old.output_type(), new.output_type());
        self.type_of(Rule::RpcSameResponseType, name, What::Replies, replies);
        let many = (old.client_streaming(), new.client_streaming());
        self.same(Rule::RpcSameClientStreaming, name, many, streams("requests"));
        let many = (old.server_streaming(), new.server_streaming());
        self.same(Rule::RpcSameServerStreaming, name, many, streams("replies"));
        let levels = (idempotency(old), idempotency(new));
        self.same(Rule::RpcSameIdempotencyLevel, name, levels, |old, new| {
            let (old, new) = (old.as_str_name(), new.as_str_name());
            format!("its idempotency level changed from {old} to {new}")
        });
    }

    fn type_of(&mut self, rule: Rule, name: &str, what: What, (old, new): (&str, &str)) {
        let (old, new) = (old.trim_start_matches('.'), new.trim_start_matches('.'));
        if old != new {
            self.rename(rule, name, what, (old, new));
        }
    }
}
