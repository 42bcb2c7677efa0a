use std::rc::Rc;

use mdp_runtime::{CallContext, Status, mdp_service};

#[mdp_service]
pub trait Auth {
    async fn login(&self) -> Result<(), Status>;
    async fn logout(&self, cx: &CallContext) -> Result<(), Status>;
}

struct Missing;

impl Auth for Missing {
    async fn login(&self) -> Result<(), Status> {
        Ok(())
    }
}

struct NotSend;

impl Auth for NotSend {
    async fn login(&self) -> Result<(), Status> {
        let shared = Rc::new(5);
        self.logout_all().await?;
        drop(shared);
        Ok(())
    }

    async fn logout(&self, _: &CallContext) -> Result<(), Status> {
        Ok(())
    }
}

impl NotSend {
    async fn logout_all(&self) -> Result<(), Status> {
        Ok(())
    }
}

fn main() {}
