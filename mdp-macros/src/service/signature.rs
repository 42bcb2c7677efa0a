//! Reads the request and the reply of a method from its signature.

use lean_codegen::emit::HandlerResult;
use lean_codegen::model::Shape;
use proc_macro2::{Ident, Span};
use syn::{
    Attribute, FnArg, GenericArgument, Pat, PatType, PathArguments, PathSegment, Receiver,
    ReturnType, Signature, Type, TypeParamBound,
};

use super::args::MethodArgs;
use super::errors::Errors;
use super::stream;
use super::types::{self, bare};

/// A method's signature in the model's terms.
pub(super) struct Lowered {
    pub(super) shape: Shape,
    pub(super) takes_context: bool,
    pub(super) takes_request: bool,
    pub(super) request: Request,
    pub(super) reply: Sent,
    /// The handler's result, if its error is not a `Status`.
    pub(super) result: Option<HandlerResult>,
    pub(super) written: Written,
}

/// What goes one way.
pub(super) enum Sent {
    /// A record, as the generated modules write its type.
    Record(Box<Type>),
    /// A value, which is a field of a record.
    Value(Box<Value>),
}

/// A value that is a field of a generated record.
pub(super) struct Value {
    /// The type as the user wrote it.
    pub(super) written: Type,
    /// The type as the generated modules write it.
    pub(super) placed: Type,
}

/// The request of a method.
pub(super) enum Request {
    Record(Type),
    /// Each argument is a field of a generated record.
    Arguments(Vec<Argument>),
}

/// An argument that is a field of a generated record.
pub(super) struct Argument {
    pub(super) ident: Ident,
    /// `#[mdp(..)]`, for the field.
    pub(super) attributes: Vec<Attribute>,
    pub(super) value: Value,
}

/// The types that the generated code writes in its own form, as the user wrote them. The records are not included,
/// because they keep the user's form.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Written {
    /// `&CallContext`
    pub(super) context: Option<Type>,
    /// `Streaming<()>`
    pub(super) requests: Option<Type>,
    /// `impl Stream<Item = Result<(), Status>>`
    pub(super) replies: Option<Type>,
    /// `Result<(), Status>`. `None`: the handler has an error of its own.
    pub(super) result: Option<Type>,
}

impl Written {
    /// The source position of `Status`.
    pub(super) fn status(&self) -> Span {
        let last = self.result.as_ref().and_then(last_segment);
        let status = last.and_then(|last| arguments(last).filter_map(as_type).last());
        status.and_then(last_segment).map_or_else(Span::call_site, |status| status.ident.span())
    }

    /// The source position of `Stream`.
    pub(super) fn stream(&self) -> Span {
        let stream = self.replies.as_ref().and_then(stream::of);
        stream.map_or_else(Span::call_site, |stream| stream.ident.span())
    }
}

/// Converts a signature. `None`: the signature has mistakes, which are among the errors.
pub(super) fn of(
    signature: &Signature,
    args: &MethodArgs,
    needs_outer_names: &mut bool,
    errors: &mut Errors,
) -> Option<Lowered> {
    asyncness(signature, args.blocking, errors);
    head(signature, errors);
    let mut arguments = Arguments::default();
    for argument in &signature.inputs {
        if let FnArg::Typed(argument) = argument {
            errors.take(arguments.add(argument));
        }
    }
    let takes_request = !arguments.requests.is_empty();
    let request = request(&arguments, needs_outer_names, errors);
    // A generic parameter of the method has no name in the generated code.
    if !signature.generics.params.is_empty() {
        return None;
    }
    let result = errors.take(result(signature))?;
    let outcome = errors.take(outcome(result))?;
    let reply = errors.take(stream::replies(outcome.reply))?;
    let streams = reply.streams;
    if let (true, Some(HandlerResult::Alias(alias))) = (streams, &outcome.result) {
        errors.push(syn::Error::new_spanned(
            alias,
            "a stream of replies is written with its error; write `Result<impl Stream<..>, Status>`",
        ));
        return None;
    }
    let reply = sent(&reply, args.value.as_ref(), needs_outer_names, errors)?;
    let handler_result = match outcome.result {
        None => None,
        Some(HandlerResult::Error(error)) => {
            Some(HandlerResult::Error(errors.take(types::place_value(&error, needs_outer_names))?))
        }
        Some(HandlerResult::Alias(alias)) => {
            Some(HandlerResult::Alias(errors.take(types::place_alias(&alias, needs_outer_names))?))
        }
    };
    let (request, streamed) = request?;
    let many =
        |streams: bool, ty: Option<&Type>| ty.filter(|_| streams).map(stream::without_record);
    let only = arguments.requests.first().map(|argument| &*argument.ty);
    let own = handler_result.is_some();
    Some(Lowered {
        shape: Shape::of(streamed, streams),
        takes_context: arguments.context.is_some(),
        takes_request,
        request,
        reply,
        result: handler_result,
        written: Written {
            context: arguments.context.cloned(),
            requests: many(streamed, only),
            replies: many(streams, Some(outcome.reply)),
            result: (!own).then(|| without_record(result)),
        },
    })
}

/// The request, and whether it is a stream. `None`: it has mistakes.
fn request(
    arguments: &Arguments<'_>,
    needs_outer_names: &mut bool,
    errors: &mut Errors,
) -> Option<(Request, bool)> {
    let requests = arguments.requests.as_slice();
    let record = match requests {
        [] => return Some((Request::Record(syn::parse_quote!(())), false)),
        [one] => one.attrs.is_empty() && !types::is_value(&one.ty),
        _ => false,
    };
    if let ([one], true) = (requests, record) {
        let Message { streams, of } = errors.take(stream::requests(&one.ty))?;
        let of = errors.take(types::place(of, needs_outer_names))?;
        return Some((Request::Record(of), streams));
    }
    let fields: Vec<Option<Argument>> =
        requests.iter().map(|argument| errors.take(field(argument, needs_outer_names))).collect();
    let fields: Option<Vec<Argument>> = fields.into_iter().collect();
    Some((Request::Arguments(fields?), false))
}

fn field(argument: &PatType, needs_outer_names: &mut bool) -> syn::Result<Argument> {
    let ident = match &*argument.pat {
        Pat::Ident(ident) if ident.subpat.is_none() && ident.by_ref.is_none() => {
            ident.ident.clone()
        }
        other => {
            return Err(syn::Error::new_spanned(
                other,
                "an argument is a field of the request and needs a name, such as `id`",
            ));
        }
    };
    let placed = types::place_value(&argument.ty, needs_outer_names)?;
    let value = Value { written: (*argument.ty).clone(), placed };
    Ok(Argument { ident, attributes: argument.attrs.clone(), value })
}

/// A reply, or the items of a stream of replies.
fn sent(
    reply: &Message<&Type>,
    value: Option<&Ident>,
    needs_outer_names: &mut bool,
    errors: &mut Errors,
) -> Option<Sent> {
    if let (true, Some(value)) = (reply.streams, value) {
        errors.push(syn::Error::new(
            value.span(),
            "a stream has records; put the value into a struct that derives `MdpRecord`",
        ));
    }
    if reply.streams || (value.is_none() && !types::is_value(reply.of)) {
        let record = errors.take(types::place(reply.of, needs_outer_names))?;
        return Some(Sent::Record(Box::new(record)));
    }
    let placed = errors.take(types::place_value(reply.of, needs_outer_names))?;
    Some(Sent::Value(Box::new(Value { written: reply.of.clone(), placed })))
}

/// Checks that the method is `async` if and only if it does not block.
fn asyncness(signature: &Signature, blocking: bool, errors: &mut Errors) {
    match &signature.asyncness {
        Some(token) if blocking => errors.push(syn::Error::new_spanned(
            token,
            "a blocking method is a plain `fn`; remove `async`, or remove `blocking` if the method awaits",
        )),
        None if !blocking && !gives_future(signature) => errors.push(syn::Error::new_spanned(
            signature.fn_token,
            "a method is asynchronous; write `async fn`, or `#[mdp(blocking)]` above it if it blocks its thread",
        )),
        _ => {}
    }
}

/// Checks the parts before the arguments, and `&self`.
fn head(signature: &Signature, errors: &mut Errors) {
    let never = "a method of a service is plain `async fn`; remove this";
    if let Some(token) = &signature.constness {
        errors.push(syn::Error::new_spanned(token, never));
    }
    if let Some(token) = &signature.unsafety {
        errors.push(syn::Error::new_spanned(token, never));
    }
    if let Some(abi) = &signature.abi {
        errors.push(syn::Error::new_spanned(abi, never));
    }
    if !signature.generics.params.is_empty() {
        errors.push(syn::Error::new_spanned(
            &signature.generics,
            "a method has no parameters of its own; name the types of requests and replies",
        ));
    }
    if let Some(clause) = &signature.generics.where_clause {
        let text = "a method has no bounds on types; remove the `where`";
        errors.push(syn::Error::new_spanned(clause, text));
    }
    match signature.receiver() {
        Some(receiver) if is_shared(receiver, signature) => {}
        Some(receiver) => errors.push(syn::Error::new_spanned(
            receiver,
            "many calls run at once on one worker; write `&self`",
        )),
        None => errors.push(syn::Error::new_spanned(
            &signature.ident,
            "a method is called on a worker; write `&self` as its first argument",
        )),
    }
}

fn is_shared(receiver: &Receiver, signature: &Signature) -> bool {
    let plain = match &receiver.reference {
        // A lifetime that the method declares is refused at its declaration.
        Some((_, lifetime)) => lifetime.is_none() || !signature.generics.params.is_empty(),
        None => false,
    };
    plain && receiver.mutability.is_none() && receiver.colon_token.is_none()
}

/// The arguments after `&self`.
#[derive(Default)]
struct Arguments<'a> {
    context: Option<&'a Type>,
    requests: Vec<&'a PatType>,
}

impl<'a> Arguments<'a> {
    /// Whether there are two requests, and one of them is a stream.
    fn streams(&self, another: &Type) -> bool {
        let earlier = self.requests.iter().map(|argument| &*argument.ty);
        !self.requests.is_empty()
            && earlier.chain([another]).any(|ty| stream::streaming_of(ty).is_some())
    }

    fn add(&mut self, argument: &'a PatType) -> syn::Result<()> {
        let refuse = |text| Err(syn::Error::new_spanned(argument, text));
        let context = context(&argument.ty);
        let foreign =
            |attribute: &&Attribute| context.is_some() || !attribute.path().is_ident("mdp");
        if let Some(attribute) = argument.attrs.iter().find(foreign) {
            let text = "an argument of a service's method takes `#[mdp(..)]` only, as a field does; remove it";
            return Err(syn::Error::new_spanned(attribute, text));
        }
        match context {
            Some(Lent::No) => refuse("the handler borrows the context; write `&CallContext`"),
            Some(Lent::Yes) if self.context.is_some() => {
                refuse("one context is enough; remove this")
            }
            Some(Lent::Yes) if !self.requests.is_empty() => refuse(
                "the context goes before the request; write `&self, cx: &CallContext, req: ..`",
            ),
            Some(Lent::Yes) => {
                self.context = Some(&argument.ty);
                Ok(())
            }
            None if self.streams(&argument.ty) => refuse(
                "a method takes values or one stream of records; what goes before a stream goes into its \
                 first record",
            ),
            None => {
                self.requests.push(argument);
                Ok(())
            }
        }
    }
}

enum Lent {
    Yes,
    No,
}

/// Whether a type is the context, by its name, and whether it is written correctly.
fn context(ty: &Type) -> Option<Lent> {
    match bare(ty) {
        Type::Reference(reference) => {
            last_segment(&reference.elem).filter(|last| last.ident == "CallContext")?;
            let plain = reference.mutability.is_none() && reference.lifetime.is_none();
            Some(if plain { Lent::Yes } else { Lent::No })
        }
        other => last_segment(other).filter(|last| last.ident == "CallContext").map(|_| Lent::No),
    }
}

/// A request or a reply.
pub(super) struct Message<T> {
    pub(super) streams: bool,
    pub(super) of: T,
}

fn gives_future(signature: &Signature) -> bool {
    let ReturnType::Type(_, ty) = &signature.output else { return false };
    let Type::ImplTrait(ty) = bare(ty) else { return false };
    ty.bounds.iter().any(|bound| match bound {
        TypeParamBound::Trait(bound) => {
            bound.path.segments.last().is_some_and(|last| last.ident == "Future")
        }
        _ => false,
    })
}

fn result(signature: &Signature) -> syn::Result<&Type> {
    match &signature.output {
        ReturnType::Type(_, ty) if gives_future(signature) => Err(syn::Error::new_spanned(
            ty,
            "a method is `async fn`, and its future is made from that; write `async fn` and what the \
             future gives",
        )),
        ReturnType::Type(_, ty) if stream::of(ty).is_some() => Err(syn::Error::new_spanned(
            ty,
            "a call can fail before its first reply; write \
             `Result<impl Stream<Item = Result<Reply, Status>>, Status>`",
        )),
        ReturnType::Type(_, ty) => Ok(ty),
        ReturnType::Default => Err(syn::Error::new_spanned(
            &signature.ident,
            "a call can always fail; write `-> Result<Reply, Status>`, or `-> Result<(), Status>` if \
             there is nothing to say",
        )),
    }
}

/// What a handler returns.
struct Outcome<'a> {
    reply: &'a Type,
    /// `None`: the error is a `Status`.
    result: Option<HandlerResult>,
}

/// Reads `Result<Reply, Status>`, `Result<Reply, Error>` or `Result<Reply>`.
fn outcome(ty: &Type) -> syn::Result<Outcome<'_>> {
    let wanted = "a call ends with a reply or a status; write `Result<Reply, Status>`";
    let Some(result) = last_segment(ty).filter(|last| last.ident == "Result") else {
        return Err(syn::Error::new_spanned(ty, wanted));
    };
    let types: Vec<&Type> = arguments(result).filter_map(as_type).collect();
    match types.as_slice() {
        [reply, status] if last_segment(status).is_some_and(|last| last.ident == "Status") => {
            Ok(Outcome { reply, result: None })
        }
        [reply, error] => {
            Ok(Outcome { reply, result: Some(HandlerResult::Error((*error).clone())) })
        }
        [reply] => Ok(Outcome { reply, result: Some(HandlerResult::Alias(ty.clone())) }),
        _ => Err(syn::Error::new_spanned(ty, wanted)),
    }
}

/// Returns `T` of `Result<T, Status>`, as the items of a stream have it.
pub(super) fn record_or_status(ty: &Type) -> syn::Result<&Type> {
    match outcome(ty)? {
        Outcome { reply, result: None } => Ok(reply),
        Outcome {
            result: Some(HandlerResult::Error(other) | HandlerResult::Alias(other)), ..
        } => Err(syn::Error::new_spanned(
            other,
            "a stream ends with `Status`, which the caller gets as it is; write `Result<Reply, Status>` and \
                 turn your own error into one where the trait is implemented",
        )),
    }
}

/// Returns `Result<(), Status>` for `Result<T, Status>`.
pub(super) fn without_record(result: &Type) -> Type {
    let mut result = bare(result).clone();
    let last = match &mut result {
        Type::Path(path) => path.path.segments.last_mut(),
        _ => None,
    };
    if let Some(PathArguments::AngleBracketed(arguments)) = last.map(|last| &mut last.arguments)
        && let Some(first) = arguments.args.first_mut()
    {
        *first = syn::parse_quote!(());
    }
    result
}

pub(super) fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match bare(ty) {
        Type::Path(path) if path.qself.is_none() => path.path.segments.last(),
        _ => None,
    }
}

pub(super) fn arguments(segment: &PathSegment) -> impl Iterator<Item = &GenericArgument> {
    let arguments = match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => Some(&arguments.args),
        _ => None,
    };
    arguments.into_iter().flatten()
}

pub(super) fn as_type(argument: &GenericArgument) -> Option<&Type> {
    match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    }
}
