//! The service and what travels. This is all there is to its contract.

use mdp_runtime::{CallContext, MdpRecord, Status, mdp_service};

/// Who is who.
#[mdp_service(package = "auth.v1")]
pub trait Auth {
    /// Checks a password and gives a token.
    async fn login(&self, req: LoginRequest) -> Result<LoginReply, Status>;
    /// Whose token it is. It changes nothing, so it is made again if a worker is lost under it.
    #[mdp(no_side_effects)]
    async fn who_am_i(&self, cx: &CallContext, req: WhoAmIRequest) -> Result<Account, Status>;
}

/// A name and its password.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct LoginRequest {
    /// The user's name.
    #[mdp(1)]
    pub user: String,
    /// The password, as it was typed.
    #[mdp(2)]
    pub password: String,
}

/// What a login gives.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct LoginReply {
    /// To be shown with other calls.
    #[mdp(1)]
    pub token: Option<Token>,
}

/// Asks whose token this is.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct WhoAmIRequest {
    /// The token of a login.
    #[mdp(1)]
    pub token: Option<Token>,
}

/// A user's name and the proof that a worker gave it out.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Token {
    /// The user's name.
    #[mdp(1)]
    pub user: String,
    /// The proof.
    #[mdp(2)]
    pub signature: Vec<u8>,
}

/// A user as others see them.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Account {
    /// The user's name.
    #[mdp(1)]
    pub user: String,
    /// The name in full.
    #[mdp(2)]
    pub full_name: String,
}
