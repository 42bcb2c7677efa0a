//! The driver's part in slots that several brokers share.

use mdp_protocol::worker::Input;
use mdp_protocol::{ConnectionState, Key, SessionAction};

use super::WorkerDriver;
use mdp_call::body::Body;
use mdp_call::status::Code;

impl WorkerDriver {
    /// Gives back the slots of handlers that have ended, and looks at those that several brokers want.
    pub(super) fn share(&mut self) {
        let Some((sharing, _)) = &mut self.sharing else { return };
        for service in 0..self.names.len() {
            if sharing.has_ended(service)
                && let Some(permits) = self.admission.permits(service)
            {
                sharing.release(service, permits.outlasting());
            }
        }
        self.share_again = sharing.tick(&self.peer.clock);
    }

    /// A call has ended: its slot is free, unless its handler still runs.
    pub(super) fn free_slot(&mut self, call: Key) {
        let Some((sharing, _)) = &mut self.sharing else { return };
        let Some(service) = sharing.end(call) else { return };
        let outlasting = self.admission.permits(service).map_or(0, |permits| permits.outlasting());
        sharing.release(service, outlasting);
    }

    /// Takes a shared slot for a call. `false`: the broker has none left, and the call was refused.
    pub(super) fn take_slot(&mut self, call: Key, service: usize) -> bool {
        let Some((sharing, _)) = &mut self.sharing else { return true };
        if sharing.start(call, service) {
            return true;
        }
        let message = "the broker has used all slots that this worker has granted it".into();
        self.handle(Input::NotStarted { call, message });
        false
    }

    /// An action of the session, with the place of its endpoint in the list of all.
    pub(super) fn placed(&mut self, action: SessionAction<Body>) -> SessionAction<Body> {
        let Some((sharing, place)) = &self.sharing else { return action };
        let endpoint = *place;
        match action {
            SessionAction::Connect { .. } => SessionAction::Connect { endpoint },
            SessionAction::State(state) => SessionAction::State(match state {
                ConnectionState::Connecting { .. } => ConnectionState::Connecting { endpoint },
                ConnectionState::Connected { id, .. } => {
                    ConnectionState::Connected { endpoint, id }
                }
                ConnectionState::Disconnected(_) | ConnectionState::Closed => {
                    sharing.closed();
                    state
                }
            }),
            action @ SessionAction::Send(_) => action,
        }
    }

    /// Ends a call for which no handler runs.
    pub(super) fn finish(&mut self, call: Key, code: Code, reply: Body) {
        self.free_slot(call);
        self.handle(Input::Done { call, code, reply });
    }
}
