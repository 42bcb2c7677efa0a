//! Reads the streams of requests and replies.

use syn::punctuated::Punctuated;
use syn::{AssocType, GenericArgument, PathArguments, PathSegment, Token, Type, TypeParamBound};

use super::signature::{self, Message, arguments, as_type, last_segment, record_or_status};
use super::types::{as_text, bare};

/// Reads a record, or a `Streaming` of records.
///
/// `impl Stream` is not allowed here, although replies use it. As an argument it would make the method generic, and a
/// plain `async fn` with one concrete type would not implement the method.
pub(super) fn requests(ty: &Type) -> syn::Result<Message<&Type>> {
    if let Some(stream) = of(ty) {
        let record = item_of(stream).map(|item| record_or_status(item).unwrap_or(item));
        let record = record.map_or_else(|| "Request".to_owned(), as_text);
        let text =
            format!("requests have the runtime's own stream type; write `Streaming<{record}>`");
        return Err(syn::Error::new_spanned(ty, text));
    }
    if let Type::ImplTrait(_) = bare(ty) {
        return Err(syn::Error::new_spanned(ty, "a request is one record; name its type"));
    }
    let Some(record) = streaming_of(ty) else { return Ok(Message { streams: false, of: ty }) };
    if let Ok(record) = record_or_status(record) {
        let text = format!(
            "each request already comes with a status; write `Streaming<{}>`",
            as_text(record)
        );
        return Err(syn::Error::new_spanned(ty, text));
    }
    Ok(Message { streams: true, of: record })
}

/// Reads a record, or an `impl Stream` of records.
pub(super) fn replies(ty: &Type) -> syn::Result<Message<&Type>> {
    if let Some(record) = streaming_of(ty) {
        let text = format!(
            "requests come in a `Streaming`; for replies write `impl Stream<Item = Result<{}, Status>>`",
            as_text(record)
        );
        return Err(syn::Error::new_spanned(ty, text));
    }
    if lies_in_a_box(ty) {
        let text = "a handler may return any stream, one in a box too; write \
                    `impl Stream<Item = Result<Reply, Status>>`";
        return Err(syn::Error::new_spanned(ty, text));
    }
    let Type::ImplTrait(bounds) = bare(ty) else { return Ok(Message { streams: false, of: ty }) };
    let Some(stream) = of(ty) else {
        return Err(syn::Error::new_spanned(ty, "a reply is one record; name its type"));
    };
    let Some(item) = item_of(stream) else {
        let text =
            "a stream has replies or a status; write `impl Stream<Item = Result<Reply, Status>>`";
        return Err(syn::Error::new_spanned(ty, text));
    };
    if let Some(more) = bounds.bounds.iter().find(|bound| !is_known(bound)) {
        let text = "a stream of replies is always `Send`, without further bounds; remove this";
        return Err(syn::Error::new_spanned(more, text));
    }
    Ok(Message { streams: true, of: record_or_status(item)? })
}

/// Whether the type is `Box<dyn Stream<..>>`, or a `Pin` of it.
fn lies_in_a_box(ty: &Type) -> bool {
    let types = last_segment(ty).into_iter().flat_map(arguments).filter_map(as_type);
    types.into_iter().any(|inner| match bare(inner) {
        Type::TraitObject(object) => among(&object.bounds).is_some(),
        inner => lies_in_a_box(inner),
    })
}

/// Returns `Stream<..>` of `impl Stream<..>`.
pub(super) fn of(ty: &Type) -> Option<&PathSegment> {
    match bare(ty) {
        Type::ImplTrait(ty) => among(&ty.bounds),
        _ => None,
    }
}

fn among(bounds: &Punctuated<TypeParamBound, Token![+]>) -> Option<&PathSegment> {
    bounds.iter().find_map(|bound| match bound {
        TypeParamBound::Trait(bound) => {
            bound.path.segments.last().filter(|last| last.ident == "Stream")
        }
        _ => None,
    })
}

/// Whether the generated stream has this bound anyway, so that the user may write it.
fn is_known(bound: &TypeParamBound) -> bool {
    let TypeParamBound::Trait(bound) = bound else { return false };
    let last = bound.path.segments.last();
    last.is_some_and(|last| last.ident == "Stream" || last.ident == "Send")
}

/// Returns `T` of `Stream<Item = T>`.
fn item_of(stream: &PathSegment) -> Option<&Type> {
    arguments(stream).find_map(|argument| match argument {
        GenericArgument::AssocType(AssocType { ident, ty, .. }) if ident == "Item" => Some(ty),
        _ => None,
    })
}

/// Returns `T` of `Streaming<T>`.
pub(super) fn streaming_of(ty: &Type) -> Option<&Type> {
    let last = last_segment(ty).filter(|last| last.ident == "Streaming")?;
    let mut types = arguments(last);
    let first = types.next().and_then(as_type);
    first.filter(|_| types.next().is_none())
}

/// Returns `Streaming<()>` for `Streaming<T>`, and `impl Stream<Item = Result<(), Status>>` for `T` in the same way.
pub(super) fn without_record(ty: &Type) -> Type {
    let mut ty = bare(ty).clone();
    match &mut ty {
        Type::ImplTrait(stream) => {
            let bounds = stream.bounds.iter_mut().filter_map(|bound| match bound {
                TypeParamBound::Trait(bound) => bound.path.segments.last_mut(),
                _ => None,
            });
            for segment in bounds {
                let PathArguments::AngleBracketed(arguments) = &mut segment.arguments else {
                    continue;
                };
                for argument in &mut arguments.args {
                    if let GenericArgument::AssocType(item) = argument {
                        item.ty = signature::without_record(&item.ty);
                    }
                }
            }
            ty
        }
        // The first argument of these types is the record, too.
        _ => signature::without_record(&ty),
    }
}
