//! A broker for one test.

use std::ops::Deref;

use crate::call::Service;
use crate::client::{Client, ClientBuilder};
use crate::error::{ConnectError, ServeError};
use crate::worker::{Worker, WorkerBuilder};
use mdp_broker::{BindError, Broker, BrokerBuilder};
use mdp_transport::Context;

/// The context is used by this broker alone, so the name is free.
const ENDPOINT: &str = "inproc://broker";

/// Starts a broker for one test. It listens on inproc in its own [`Context`], so only the returned object reaches it.
/// Any number of these brokers may run at once.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use mdp_runtime::testing;
///
/// let broker = testing::broker()?;
/// // let _worker = broker.serve(AuthWorker::new(Accounts::fake())).await?;
/// // let auth = AuthClient::new(broker.client().await?);
/// # let _client = broker.client().await?;
/// assert_eq!(broker.stats().await.sessions, 1);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// The broker's thread or sockets cannot be made.
pub fn broker() -> Result<TestBroker, BindError> {
    TestBroker::start(Broker::builder())
}

/// A [`Broker`] for one test, with helpers for connected workers and clients. Dropping it stops the broker, without
/// waiting for the broker's thread.
#[derive(Debug)]
pub struct TestBroker {
    broker: Broker,
    context: Context,
}

impl TestBroker {
    /// Starts a broker with the test's own settings.
    ///
    /// # Errors
    ///
    /// The errors of [`broker`].
    pub fn start(builder: BrokerBuilder) -> Result<TestBroker, BindError> {
        let context = Context::new();
        let broker = builder.bind(ENDPOINT).context(&context).start()?;
        Ok(TestBroker { broker, context })
    }

    /// Returns the context in which the broker can be reached.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Returns a builder for a worker that connects to this broker.
    pub fn worker(&self) -> WorkerBuilder {
        Worker::builder().connect(ENDPOINT).context(&self.context)
    }

    /// Starts a worker with this service, and waits until the worker is connected.
    ///
    /// # Errors
    ///
    /// The errors of [`WorkerBuilder::start`].
    pub async fn serve(&self, service: impl Service) -> Result<Worker, ServeError> {
        let worker = self.worker().serve(service).start()?;
        worker.connected().await;
        Ok(worker)
    }

    /// Returns a builder for a client that connects to this broker.
    pub fn client_builder(&self) -> ClientBuilder {
        Client::builder().connect(ENDPOINT).context(&self.context)
    }

    /// Makes a client that is connected to this broker.
    ///
    /// # Errors
    ///
    /// The errors of [`ClientBuilder::open`].
    pub async fn client(&self) -> Result<Client, ConnectError> {
        self.client_builder().open().await
    }
}

impl Deref for TestBroker {
    type Target = Broker;

    fn deref(&self) -> &Broker {
        &self.broker
    }
}

impl Drop for TestBroker {
    fn drop(&mut self) {
        // An inproc socket closes only after its peers have noticed. The peers of a test may be tasks of this very
        // thread, so waiting for them would only wait for the timeout.
        self.broker.leave();
    }
}
