use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use mdp_runtime::{CallContext, Status, Stream, Streaming, mdp_service};

#[mdp_service]
pub trait Files {
    async fn get(&self, cx: &CallContext) -> Result<impl Stream<Item = Result<(), Status>>, Status>;
    async fn put(&self, parts: Streaming<()>) -> Result<(), Status>;
}

struct Nothing<T>(T);

impl<T> Stream for Nothing<T> {
    type Item = Result<(), Status>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(None)
    }
}

struct NotSend;

impl Files for NotSend {
    async fn get(&self, _: &CallContext) -> Result<impl Stream<Item = Result<(), Status>>, Status> {
        Ok(Nothing(Rc::new(5)))
    }

    async fn put(&self, _: Streaming<()>) -> Result<(), Status> {
        Ok(())
    }
}

struct NoStream;

impl Files for NoStream {
    async fn get(&self, _: &CallContext) -> Result<impl Stream<Item = Result<(), Status>>, Status> {
        Ok(Nothing(()))
    }

    async fn put(&self, _: ()) -> Result<(), Status> {
        Ok(())
    }
}

fn main() {}
