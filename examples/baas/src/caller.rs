//! The worker's side of the broker's word: who calls, as a value for the handlers.

use mdp_runtime::{CallContext, Interceptor, Next, Reply, Request, Status};

use crate::hooks::{RIGHTS, USER};

/// The user who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// What the user may do.
    pub rights: Vec<String>,
}

/// Reads once for all handlers what the broker's hooks have put beside the request. The policy sees to it that the request came
/// from that broker; a worker that anybody may reach has to check a token here itself.
#[derive(Debug)]
pub struct Callers;

impl Interceptor for Callers {
    async fn call(&self, mut request: Request, next: Next) -> Result<Reply, Status> {
        let text = |key| request.metadata().get_str(key).unwrap_or_default().to_owned();
        let (name, rights) = (text(USER), text(RIGHTS));
        if !name.is_empty() {
            let rights = rights.split_whitespace().map(str::to_owned).collect();
            request.extensions_mut().insert(User { name, rights });
        }
        next.call(request).await
    }
}

/// The user who calls. Without the broker's hooks there is none.
///
/// # Errors
///
/// INTERNAL: the broker has not said it.
pub fn caller(cx: &CallContext) -> Result<&User, Status> {
    cx.extensions().get().ok_or_else(|| Status::internal("the broker has not said who calls"))
}
