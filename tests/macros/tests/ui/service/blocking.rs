use mdp_runtime::{CallContext, Status, Stream, Streaming, mdp_service};

#[mdp_service]
trait Work {
    #[mdp(blocking)]
    fn fine(&self, cx: &CallContext) -> Result<(), Status>;
    #[mdp(blocking)]
    async fn a(&self) -> Result<(), Status>;
    fn b(&self) -> Result<(), Status>;
    #[mdp(blocking)]
    fn c(&self) -> Result<impl Stream<Item = Result<(), Status>>, Status>;
    #[mdp(blocking)]
    fn d(&self, requests: Streaming<()>) -> Result<(), Status>;
    #[mdp(blocking = 4)]
    fn e(&self) -> Result<(), Status>;
}

struct Worker;

// `c` and `d` as they are once `blocking` is gone.
impl Work for Worker {
    fn fine(&self, _cx: &CallContext) -> Result<(), Status> {
        Ok(())
    }
    async fn a(&self) -> Result<(), Status> {
        Ok(())
    }
    fn b(&self) -> Result<(), Status> {
        Ok(())
    }
    async fn c(&self) -> Result<impl Stream<Item = Result<(), Status>>, Status> {
        Ok(mdp_runtime::stream::channel(1).1)
    }
    async fn d(&self, _requests: Streaming<()>) -> Result<(), Status> {
        Ok(())
    }
    fn e(&self) -> Result<(), Status> {
        Ok(())
    }
}

fn main() {}
