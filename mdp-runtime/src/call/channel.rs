//! A destination for calls, for example a client or a test double.

use std::future::Future;
use std::pin::Pin;

use super::{Replies, Reply, Request, Requests};
#[cfg(doc)]
use crate::client::Client;
use mdp_call::status::Status;

/// A destination for calls other than a broker. Implement this trait for a test double, and make clients of it with
/// [`Client::over`]. Code that holds a generated client does not see a difference.
///
/// The client provides deadlines and cancellation around a channel. A call whose time is up, or whose client is shut
/// down, ends with the same status as over a broker, and the channel's future is dropped. The future is also dropped
/// when the caller drops its own future. A panic in a channel is a panic of the caller. A call runs on the caller's
/// tokio runtime, which must have time enabled. A thread without a runtime ([`Call::wait`](crate::Call::wait)) uses a
/// background runtime, on which a panic becomes INTERNAL.
///
/// A [`Client`] is a channel, too, so a test double can forward calls that it does not answer itself.
///
/// ```
/// # mod example {
/// # use mdp_runtime::{MdpRecord, Status, mdp_service};
/// # #[derive(MdpRecord, Clone, Debug, PartialEq)]
/// # pub struct LoginRequest { #[mdp(1)] pub user: String }
/// # #[derive(MdpRecord, Clone, Debug, PartialEq)]
/// # pub struct LoginReply { #[mdp(1)] pub token: String }
/// # #[mdp_service(package = "auth.v1")]
/// # pub trait Auth { async fn login(&self, req: LoginRequest) -> Result<LoginReply, Status>; }
/// use mdp_runtime::{Channel, Client, Reply, Request};
///
/// /// Knows Ann, and nobody else.
/// struct OnlyAnn;
///
/// impl Channel for OnlyAnn {
///     async fn call(&self, request: Request) -> Result<Reply, Status> {
///         assert_eq!(request.method(), "auth.v1.Auth/Login");
///         match request.message::<LoginRequest>()?.user.as_str() {
///             "ann" => Ok(Reply::new(&LoginReply { token: "t-1".into() })),
///             _ => Err(Status::unauthenticated("who are you?")),
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # pub async fn run() -> Result<(), Status> {
/// let auth = AuthClient::new(Client::over(OnlyAnn));
/// assert_eq!(auth.login(LoginRequest { user: "ann".into() }).await?.token, "t-1");
/// assert!(auth.login(LoginRequest { user: "bob".into() }).await.is_err());
/// # Ok(())
/// # }
/// # }
/// # example::run().unwrap();
/// ```
pub trait Channel: Send + Sync + 'static {
    /// Makes a call of one request and one reply. The caller gets the reply or the status that the future returns.
    fn call(&self, request: Request) -> impl Future<Output = Result<Reply, Status>> + Send;

    /// Makes a call with a stream of requests, of replies or of both; see [`Request::kind`]. The call ends when the
    /// future returns. If replies stream, the returned reply has metadata only. Default: the call ends with
    /// UNIMPLEMENTED.
    ///
    /// The future runs as its own task; a panic becomes INTERNAL.
    fn stream(
        &self,
        request: Request,
        requests: Requests,
        replies: Replies,
    ) -> impl Future<Output = Result<Reply, Status>> + Send {
        let _ = (requests, replies);
        let message = format!("the channel does not stream, as {} does", request.method());
        std::future::ready(Err(Status::unimplemented(message)))
    }
}

/// A call on its way through a channel.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Reply, Status>> + Send>>;

/// The future that a channel returns, boxed, borrowing from the channel.
pub(crate) type Boxed<'a> = Pin<Box<dyn Future<Output = Result<Reply, Status>> + Send + 'a>>;

/// [`Channel`] with boxed futures, so that any channel fits one type.
pub(crate) trait AnyChannel: Send + Sync {
    fn call(&self, request: Request) -> Boxed<'_>;
    fn stream(&self, request: Request, requests: Requests, replies: Replies) -> Boxed<'_>;
}

impl<C: Channel> AnyChannel for C {
    fn call(&self, request: Request) -> Boxed<'_> {
        Box::pin(Channel::call(self, request))
    }

    fn stream(&self, request: Request, requests: Requests, replies: Replies) -> Boxed<'_> {
        Box::pin(Channel::stream(self, request, requests, replies))
    }
}
