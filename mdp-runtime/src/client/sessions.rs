//! The machine behind a client's driver: one session with a broker, or a session with each of several brokers.

use mdp_protocol::client::{self as core, Action, Balancer, BalancerConfig, Call, Event, Input};
use mdp_protocol::wire::Part;
use mdp_protocol::{ConnectionState, Key, SessionAction, Span, Time};

use super::driver::ResultSender;
use mdp_call::body::Body;

/// An action, and the broker whose session it is about.
pub(super) type At = (usize, Action<Body, ResultSender>);

/// The client's machine.
pub(super) enum Sessions {
    /// The endpoints of the client belong to one broker, or are tried in turn.
    One(Box<core::Client<Body, ResultSender>>, Vec<Action<Body, ResultSender>>),
    /// Each endpoint is a broker.
    Many(Box<Balancer<Body, ResultSender>>),
}

impl Sessions {
    pub(super) fn one(config: core::Config) -> Self {
        Sessions::One(Box::new(core::Client::new(config)), Vec::new())
    }

    pub(super) fn many(client: core::Config, brokers: usize) -> Self {
        let config = BalancerConfig { client, ..BalancerConfig::default() };
        Sessions::Many(Box::new(Balancer::new(config, brokers)))
    }

    /// Makes a call. Returns its key, unless the call has already ended.
    #[inline]
    pub(super) fn call(
        &mut self,
        now: Time,
        call: Call<Body, ResultSender>,
        no_wait: bool,
        out: &mut Vec<At>,
    ) -> Option<Key> {
        match self {
            Sessions::One(client, actions) => {
                let made = client.handle(now, Input::Call(call), actions);
                take(actions, out);
                made
            }
            Sessions::Many(balancer) => balancer.call(now, call, no_wait, out),
        }
    }

    pub(super) fn cancel(&mut self, now: Time, call: Key, out: &mut Vec<At>) {
        match self {
            Sessions::One(client, actions) => {
                client.handle(now, Input::Cancel(call), actions);
                take(actions, out);
            }
            Sessions::Many(balancer) => balancer.cancel(now, call, out),
        }
    }

    pub(super) fn part(&mut self, now: Time, call: Key, part: Part<Body>, out: &mut Vec<At>) {
        match self {
            Sessions::One(client, actions) => {
                client.handle(now, Input::Part { call, part }, actions);
                take(actions, out);
            }
            Sessions::Many(balancer) => balancer.part(now, call, part, out),
        }
    }

    pub(super) fn taken(&mut self, now: Time, call: Key, units: u32, out: &mut Vec<At>) {
        match self {
            Sessions::One(client, actions) => {
                client.handle(now, Input::Taken { call, units }, actions);
                take(actions, out);
            }
            Sessions::Many(balancer) => balancer.taken(now, call, units, out),
        }
    }

    /// An event of the session with a broker.
    #[inline]
    pub(super) fn event(
        &mut self,
        now: Time,
        broker: usize,
        event: Event<'_, Body>,
        out: &mut Vec<At>,
    ) {
        match self {
            Sessions::One(client, actions) => {
                client.handle(now, event.into(), actions);
                take(actions, out);
            }
            Sessions::Many(balancer) => balancer.handle(now, broker, event, out),
        }
    }

    pub(super) fn tick(&mut self, now: Time, out: &mut Vec<At>) {
        match self {
            Sessions::One(client, actions) => {
                client.handle(now, Input::Tick, actions);
                take(actions, out);
            }
            Sessions::Many(balancer) => balancer.tick(now, out),
        }
    }

    pub(super) fn close(&mut self, now: Time, grace: Span, out: &mut Vec<At>) {
        match self {
            Sessions::One(client, actions) => {
                client.handle(now, Input::Close { grace }, actions);
                take(actions, out);
            }
            Sessions::Many(balancer) => balancer.close(now, grace, out),
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        match self {
            Sessions::One(client, _) => client.next_deadline(),
            Sessions::Many(balancer) => balancer.next_deadline(),
        }
    }

    /// The time of the next attempt to connect to a broker, if the machine waits for it.
    pub(super) fn next_attempt(&self, broker: usize) -> Option<Time> {
        match self {
            Sessions::One(client, _) => client.next_attempt(),
            Sessions::Many(balancer) => balancer.next_attempt(broker),
        }
    }

    /// The token of a call. `None`: the call has ended.
    pub(super) fn token(&self, call: Key) -> Option<&ResultSender> {
        match self {
            Sessions::One(client, _) => client.token(call),
            Sessions::Many(balancer) => balancer.token(call),
        }
    }

    /// Whether all sessions are closed, one of them just now.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Sessions::One(..) => true,
            Sessions::Many(balancer) => balancer.is_closed(),
        }
    }

    /// The action of a broker's session with the endpoint's place in the list of all endpoints.
    pub(super) fn placed(&self, broker: usize, action: SessionAction<Body>) -> SessionAction<Body> {
        match (self, action) {
            (Sessions::Many(_), SessionAction::Connect { .. }) => {
                SessionAction::Connect { endpoint: broker }
            }
            (Sessions::Many(_), SessionAction::State(state)) => SessionAction::State(match state {
                ConnectionState::Connecting { .. } => {
                    ConnectionState::Connecting { endpoint: broker }
                }
                ConnectionState::Connected { id, .. } => {
                    ConnectionState::Connected { endpoint: broker, id }
                }
                state => state,
            }),
            (_, action) => action,
        }
    }
}

#[inline]
fn take(actions: &mut Vec<Action<Body, ResultSender>>, out: &mut Vec<At>) {
    out.extend(actions.drain(..).map(|action| (0, action)));
}
