//! The service that most pages call, and a place where it runs.

use std::error::Error;

use mdp_runtime::{Broker, Client, MdpRecord, Status, Worker, mdp_service};

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct LoginRequest {
    #[mdp(1)]
    pub user: String,
    #[mdp(2)]
    pub password: String,
}

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct LoginReply {
    #[mdp(1)]
    pub token: String,
}

#[mdp_service(package = "auth.v1")]
pub trait Auth {
    #[mdp(no_side_effects)]
    async fn login(&self, req: LoginRequest) -> Result<LoginReply, Status>;
}

/// Knows Ann.
pub struct Accounts;

impl Accounts {
    pub fn fake() -> Self {
        Accounts
    }
}

impl Auth for Accounts {
    async fn login(&self, req: LoginRequest) -> Result<LoginReply, Status> {
        match (req.user.as_str(), req.password.as_str()) {
            ("ann", "correct horse") => Ok(LoginReply { token: "t-1".into() }),
            _ => Err(Status::unauthenticated("no such user and password")),
        }
    }
}

/// A request that is granted.
pub fn ann() -> LoginRequest {
    LoginRequest { user: "ann".into(), password: "correct horse".into() }
}

/// A request that is refused.
pub fn nobody() -> LoginRequest {
    LoginRequest { user: "nobody".into(), password: "?".into() }
}

/// A broker and a worker of the service.
pub struct World {
    pub endpoint: String,
    _broker: Broker,
    _worker: Worker,
}

impl World {
    pub async fn start() -> Result<World, Box<dyn Error>> {
        let (broker, endpoint) = broker()?;
        let worker = Worker::builder().connect(&endpoint).serve(AuthWorker::new(Accounts));
        Ok(World { endpoint, _broker: broker, _worker: worker.start()? })
    }

    pub async fn client(&self) -> Result<Client, Box<dyn Error>> {
        Ok(Client::connect(&self.endpoint).await?)
    }

    pub async fn auth(&self) -> Result<AuthClient, Box<dyn Error>> {
        Ok(AuthClient::new(self.client().await?))
    }
}

/// A broker on a free port, and its endpoint.
pub fn broker() -> Result<(Broker, String), Box<dyn Error>> {
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").start()?;
    let endpoint = broker.endpoints().first().ok_or("nothing is bound")?.clone();
    Ok((broker, endpoint))
}
