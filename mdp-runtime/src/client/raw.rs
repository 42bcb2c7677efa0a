//! Raw requests over MDP/RPC (wire.md R85).

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use mdp_protocol::Code;
use mdp_protocol::client::{self as core, Outcome};
use mdp_protocol::wire::CallKind;

use super::call::closed;
use super::driver::{ResultReceiver, ResultSender};
use super::{Client, ClientCommand, Destination, answered, kinds};
use crate::stream::{Flow, cost};
use mdp_call::body::Body;
use mdp_call::compress::Packing;
use mdp_call::status::Status;
use mdp_transport::clock;

/// A raw request that was sent. Dropping it before its end cancels the request.
pub(crate) struct RawCall {
    waiting: ResultReceiver,
    flow: Arc<Flow>,
    items: VecDeque<Body>,
    end: Option<Result<Vec<Bytes>, Status>>,
}

impl Client {
    /// Sends a raw request. `None`: the client has no connection of its own.
    pub(crate) fn raw(
        &self,
        service: &str,
        frames: Vec<Bytes>,
        timeout: Duration,
    ) -> Option<RawCall> {
        let Destination::Broker(link) = &self.destination else { return None };
        let flow = Arc::new(Flow::new(kinds::carrier(link), link.window, Packing::default()));
        let (token, waiting) = ResultSender::new(Arc::clone(link), Some(Arc::clone(&flow)));
        let call = core::Call {
            token,
            timeout: clock::span(timeout),
            begin_within: clock::span(timeout),
            idempotent: false,
            worker: Arc::from([]),
            kind: CallKind::ServerStreaming,
            body: Body::of_frames(service.as_bytes(), frames),
        };
        // The channel to a closed client drops the token, which ends the call.
        drop(link.command(ClientCommand::Call { call, no_wait: false }));
        Some(RawCall { waiting, flow, items: VecDeque::new(), end: None })
    }
}

impl RawCall {
    /// The next reply, and whether this reply is the last.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(Vec<Bytes>, bool), Status>> {
        if self.end.is_none()
            && let Poll::Ready(outcome) = self.waiting.poll(cx)
        {
            self.end = Some(end(outcome));
        }
        // Replies that arrived before the end are read before the end.
        if self.items.is_empty() {
            let _ = self.flow.half().poll_items(cx, &mut self.items);
        }
        if let Some(item) = self.items.pop_front() {
            self.flow.taken(cost(&item));
            return Poll::Ready(Ok((item.frames(), false)));
        }
        match self.end.take() {
            Some(end) => Poll::Ready(end.map(|frames| (frames, true))),
            None => Poll::Pending,
        }
    }
}

fn end(outcome: Option<Outcome<Body>>) -> Result<Vec<Bytes>, Status> {
    match outcome {
        Some(Outcome::Final { code: Code::Ok, body, .. }) => Ok(body.frames()),
        // All other outcomes have no reply.
        Some(outcome) => answered(outcome, usize::MAX).and_then(|_| Err(closed())),
        None => Err(closed()),
    }
}
