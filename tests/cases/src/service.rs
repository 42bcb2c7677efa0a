//! The worker's side of the service.

use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use mdp_runtime::{CallContext, Code, Deferred, Responder, Status};

use crate::pb::test_worker::Test;
use crate::pb::{Empty, Payload, SimpleRequest, SimpleResponse, SleepRequest, SleepResponse};

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
        for key in ECHOED {
            if let Some(value) = cx.metadata().get(key) {
                cx.reply_metadata(key, value.clone());
            }
        }
        if let Some(status) = req.response_status {
            let code = u32::try_from(status.code).map_or(Code::Unknown, Code::from_u32);
            return Err(Status::new(code, status.message));
        }
        let size = usize::try_from(req.response_size)
            .map_err(|_| Status::invalid_argument("a negative size"))?;
        Ok(SimpleResponse { payload: Some(Payload { body: vec![0; size] }) })
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

    fn later(&self, cx: &CallContext, _: Empty) -> impl Future<Output = Result<Empty, Status>> {
        let (responder, reply): (_, Deferred<Empty>) = cx.defer();
        let later = self.later.lock().unwrap_or_else(PoisonError::into_inner);
        // Without the thread the responder is dropped, which ends the call with INTERNAL.
        let _ = later.send(responder);
        reply
    }
}
