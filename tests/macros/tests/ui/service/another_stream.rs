use mdp_runtime::mdp_service;

/// Of other libraries, say.
mod other {
    pub struct Status;
    pub struct Streaming<T>(T);
    pub trait Stream {
        type Item;
    }
}

use mdp_runtime::Status;

#[mdp_service]
trait Requests {
    async fn put(&self, parts: other::Streaming<()>) -> Result<(), Status>;
}

#[mdp_service]
trait Replies {
    async fn get(&self) -> Result<impl other::Stream<Item = Result<(), Status>>, Status>;
}

#[mdp_service]
trait Items {
    async fn get(&self) -> Result<impl mdp_runtime::Stream<Item = Result<(), other::Status>>, Status>;
}

fn main() {}
