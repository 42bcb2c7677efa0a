//! Reads the request and the reply of a method from its signature.

use lean_codegen::model::Shape;
use proc_macro2::Span;
use syn::{
    FnArg, GenericArgument, PatType, PathArguments, PathSegment, Receiver, ReturnType, Signature,
    Type, TypeParamBound,
};

use super::errors::Errors;
use super::stream;
use super::types::{self, bare};

/// A method's signature in the model's terms.
pub(super) struct Lowered {
    pub(super) shape: Shape,
    pub(super) takes_context: bool,
    pub(super) takes_request: bool,
    pub(super) input: Type,
    pub(super) output: Type,
    pub(super) written: Written,
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
    /// `Result<(), Status>`
    pub(super) result: Type,
}

impl Written {
    /// The source position of `Status`.
    pub(super) fn status(&self) -> Span {
        let last = last_segment(&self.result);
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
    blocking: bool,
    needs_outer_names: &mut bool,
    errors: &mut Errors,
) -> Option<Lowered> {
    asyncness(signature, blocking, errors);
    head(signature, errors);
    let mut arguments = Arguments::default();
    for argument in &signature.inputs {
        if let FnArg::Typed(argument) = argument {
            errors.take(arguments.add(argument));
        }
    }
    let request = arguments.request.map(stream::requests);
    let request = request.map(|message| place(message, needs_outer_names, errors));
    // A generic parameter of the method has no name in the generated code.
    if !signature.generics.params.is_empty() {
        return None;
    }
    let result = errors.take(result(signature));
    let answer = result.and_then(|result| errors.take(record_or_status(result)));
    let reply = answer.map(stream::replies);
    let reply = reply.and_then(|message| place(message, needs_outer_names, errors))?;
    let takes_request = request.is_some();
    let request = request.unwrap_or_else(|| Some(Message::unit()))?;
    let many =
        |streams: bool, ty: Option<&Type>| ty.filter(|_| streams).map(stream::without_record);
    Some(Lowered {
        shape: Shape::of(request.streams, reply.streams),
        takes_context: arguments.context.is_some(),
        takes_request,
        input: request.of,
        output: reply.of,
        written: Written {
            context: arguments.context.cloned(),
            requests: many(request.streams, arguments.request),
            replies: many(reply.streams, answer),
            result: without_record(result?),
        },
    })
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
    request: Option<&'a Type>,
}

impl<'a> Arguments<'a> {
    /// Whether there are two requests, and one of them is a stream.
    fn streams(&self, another: &Type) -> bool {
        let first = self.request.into_iter();
        first.flat_map(|first| [first, another]).any(|ty| stream::streaming_of(ty).is_some())
    }

    fn add(&mut self, argument: &'a PatType) -> syn::Result<()> {
        let refuse = |text| Err(syn::Error::new_spanned(argument, text));
        if let Some(attribute) = argument.attrs.first() {
            let text = "an argument of a service's method takes no attributes; remove it";
            return Err(syn::Error::new_spanned(attribute, text));
        }
        match context(&argument.ty) {
            Some(Lent::No) => refuse("the handler borrows the context; write `&CallContext`"),
            Some(Lent::Yes) if self.context.is_some() => {
                refuse("one context is enough; remove this")
            }
            Some(Lent::Yes) if self.request.is_some() => refuse(
                "the context goes before the request; write `&self, cx: &CallContext, req: ..`",
            ),
            Some(Lent::Yes) => {
                self.context = Some(&argument.ty);
                Ok(())
            }
            None if self.streams(&argument.ty) => refuse(
                "a method takes one record or one stream of them; what goes before a stream goes into its \
                 first record",
            ),
            None if self.request.is_some() => refuse(
                "a method takes one record; put all that it needs into one struct that derives `MdpRecord`",
            ),
            None => {
                self.request = Some(&argument.ty);
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

impl Message<Type> {
    fn unit() -> Self {
        Self { streams: false, of: syn::parse_quote!(()) }
    }
}

fn place(
    message: syn::Result<Message<&Type>>,
    needs_outer_names: &mut bool,
    errors: &mut Errors,
) -> Option<Message<Type>> {
    let Message { streams, of } = errors.take(message)?;
    let of = errors.take(types::place(of, needs_outer_names))?;
    Some(Message { streams, of })
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

/// Returns `T` of `Result<T, Status>`.
pub(super) fn record_or_status(ty: &Type) -> syn::Result<&Type> {
    let wanted = "a call ends with a record or a status; write `Result<Reply, Status>`";
    let Some(result) = last_segment(ty).filter(|last| last.ident == "Result") else {
        return Err(syn::Error::new_spanned(ty, wanted));
    };
    let types: Vec<&Type> = arguments(result).filter_map(as_type).collect();
    match types.as_slice() {
        [record, status] if last_segment(status).is_some_and(|last| last.ident == "Status") => {
            Ok(record)
        }
        [_, other] => Err(syn::Error::new_spanned(
            other,
            "a call fails with `Status`, which the caller gets as it is; write `Status` and turn your \
             own error into one where the trait is implemented",
        )),
        _ => Err(syn::Error::new_spanned(ty, wanted)),
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
