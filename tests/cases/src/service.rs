//! The worker's side of the service.

use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use mdp_runtime::{
    CallContext, Code, Deferred, ReplySender, Responder, Status, Stream, Streaming, stream,
};

use crate::pb::test_worker::Test;
use crate::pb::{
    Empty, Payload, ResponseParameters, SimpleRequest, SimpleResponse, SleepRequest, SleepResponse,
    StreamingInputCallRequest, StreamingInputCallResponse, StreamingOutputCallRequest,
    StreamingOutputCallResponse,
};

/// The keys that come back, whatever their values are.
pub(crate) const ECHOED: [&str; 2] = ["x-test-echo", "x-test-echo-bin"];

/// The service. `later` answers what is deferred.
pub(crate) struct Tested {
    later: Mutex<mpsc::Sender<Responder<Empty>>>,
}

impl Tested {
    /// With a thread that answers deferred calls.
    pub(crate) fn new() -> Self {
        let (later, waiting) = mpsc::channel::<Responder<Empty>>();
        std::thread::spawn(move || {
            for responder in waiting {
                responder.reply(Empty {});
            }
        });
        Tested { later: Mutex::new(later) }
    }
}

impl Test for Tested {
    async fn empty_call(&self, _: &CallContext, _: Empty) -> Result<Empty, Status> {
        Ok(Empty {})
    }

    async fn unary_call(
        &self,
        cx: &CallContext,
        req: SimpleRequest,
    ) -> Result<SimpleResponse, Status> {
        ECHOED.iter().for_each(|key| echo(cx, key));
        wanted(req.response_status)?;
        Ok(SimpleResponse { payload: Some(payload(req.response_size)?) })
    }

    async fn sleep(&self, _: &CallContext, req: SleepRequest) -> Result<Empty, Status> {
        tokio::time::sleep(Duration::from_millis(req.ms.into())).await;
        Ok(Empty {})
    }

    async fn sleep_again(
        &self,
        cx: &CallContext,
        req: SleepRequest,
    ) -> Result<SleepResponse, Status> {
        self.sleep(cx, req).await?;
        Ok(SleepResponse { process: std::process::id() })
    }

    async fn streaming_input_call(
        &self,
        _: &CallContext,
        mut requests: Streaming<StreamingInputCallRequest>,
    ) -> Result<StreamingInputCallResponse, Status> {
        let mut size = 0;
        while let Some(request) = requests.message().await? {
            size += request.payload.map_or(0, |payload| payload.body.len());
        }
        let size = i32::try_from(size).map_err(|_| Status::out_of_range("too much"))?;
        Ok(StreamingInputCallResponse { aggregated_payload_size: size })
    }

    async fn streaming_output_call(
        &self,
        _: &CallContext,
        req: StreamingOutputCallRequest,
    ) -> Result<impl Stream<Item = Result<StreamingOutputCallResponse, Status>>, Status> {
        let (replies, stream) = stream::channel(1);
        tokio::spawn(async move { reply_to(req, &replies).await });
        Ok(stream)
    }

    /// What is echoed first goes before the replies, the other one with the end.
    async fn full_duplex_call(
        &self,
        cx: &CallContext,
        mut requests: Streaming<StreamingOutputCallRequest>,
    ) -> Result<impl Stream<Item = Result<StreamingOutputCallResponse, Status>>, Status> {
        let [first, last] = ECHOED;
        echo(cx, first);
        let (replies, stream) = stream::channel(1);
        let cx = cx.clone();
        tokio::spawn(async move {
            let end = async {
                while let Some(request) = requests.message().await? {
                    wanted(request.response_status.clone())?;
                    reply_to(request, &replies).await;
                }
                Ok(())
            };
            let end: Result<(), Status> = end.await;
            echo(&cx, last);
            if let Err(status) = end {
                // Whoever cancelled does not listen.
                let _ = replies.fail(status).await;
            }
        });
        Ok(stream)
    }

    fn later(&self, cx: &CallContext, _: Empty) -> impl Future<Output = Result<Empty, Status>> {
        let (responder, reply): (_, Deferred<Empty>) = cx.defer();
        let later = self.later.lock().unwrap_or_else(PoisonError::into_inner);
        // Without the thread the responder is dropped, which ends the call with INTERNAL.
        let _ = later.send(responder);
        reply
    }
}

async fn reply_to(
    request: StreamingOutputCallRequest,
    replies: &ReplySender<StreamingOutputCallResponse>,
) {
    for ResponseParameters { size } in request.response_parameters {
        let Ok(payload) = payload(size) else { return };
        if replies.send(StreamingOutputCallResponse { payload: Some(payload) }).await.is_err() {
            return;
        }
    }
}

fn echo(cx: &CallContext, key: &str) {
    if let Some(value) = cx.metadata().get(key) {
        cx.reply_metadata(key, value.clone());
    }
}

/// The status that a request asks for.
fn wanted(status: Option<crate::pb::EchoStatus>) -> Result<(), Status> {
    let Some(status) = status else { return Ok(()) };
    let code = u32::try_from(status.code).map_or(Code::Unknown, Code::from_u32);
    Err(Status::new(code, status.message))
}

fn payload(size: i32) -> Result<Payload, Status> {
    let size = usize::try_from(size).map_err(|_| Status::invalid_argument("a negative size"))?;
    Ok(Payload { body: vec![0; size] })
}
