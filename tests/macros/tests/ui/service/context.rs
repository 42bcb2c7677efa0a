use mdp_runtime::{CallContext, Status, mdp_service};

#[mdp_service]
trait Auth {
    async fn a(&self, cx: CallContext) -> Result<(), Status>;
    async fn b(&self, cx: &mut CallContext) -> Result<(), Status>;
    async fn c(&self, cx: &'static CallContext) -> Result<(), Status>;
    async fn d(&self, one: &CallContext, two: &CallContext) -> Result<(), Status>;
    async fn e(&self, req: (), cx: &CallContext) -> Result<(), Status>;
    async fn f(&self, #[allow(unused)] cx: &CallContext) -> Result<(), Status>;
}

fn main() {}
