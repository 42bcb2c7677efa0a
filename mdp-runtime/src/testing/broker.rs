//! A broker for one test.

use std::ops::Deref;

use crate::broker::{Broker, BrokerBuilder};
use crate::client::{Client, ClientBuilder};
use crate::codegen::Service;
use crate::error::{BindError, ConnectError, ServeError};
use crate::transport::Runtime;
use crate::worker::{Worker, WorkerBuilder};

/// Nobody else has the runtime, so nobody else has the name.
const ENDPOINT: &str = "inproc://broker";

/// Starts a broker that is reached through what is returned only: it listens on inproc, in a [`Runtime`] of its
/// own. Any number of them run side by side.
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
/// The broker's thread or its sockets cannot be made.
pub fn broker() -> Result<TestBroker, BindError> {
    TestBroker::start(Broker::builder())
}

/// A [`Broker`] for one test, with workers and clients that are connected to it. Dropping it stops the broker,
/// and does not wait for that.
#[derive(Debug)]
pub struct TestBroker {
    broker: Broker,
    runtime: Runtime,
}

impl TestBroker {
    /// Starts a broker with settings of the test's own.
    ///
    /// # Errors
    ///
    /// As [`broker`].
    pub fn start(builder: BrokerBuilder) -> Result<TestBroker, BindError> {
        let runtime = Runtime::new();
        let broker = builder.bind(ENDPOINT).runtime(&runtime).start()?;
        Ok(TestBroker { broker, runtime })
    }

    /// The context in which the broker can be reached.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Settings for a worker, with the way to the broker.
    pub fn worker(&self) -> WorkerBuilder {
        Worker::builder().connect(ENDPOINT).runtime(&self.runtime)
    }

    /// Starts a worker with this service, and waits until the broker knows it.
    ///
    /// # Errors
    ///
    /// As [`WorkerBuilder::start`].
    pub async fn serve(&self, service: impl Service) -> Result<Worker, ServeError> {
        let worker = self.worker().serve(service).start()?;
        worker.connected().await;
        Ok(worker)
    }

    /// Settings for a client, with the way to the broker.
    pub fn client_builder(&self) -> ClientBuilder {
        Client::builder().connect(ENDPOINT).runtime(&self.runtime)
    }

    /// A client of the broker.
    ///
    /// # Errors
    ///
    /// As [`ClientBuilder::open`].
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
        // An inproc socket is closed once its peers have seen it, and those of a test may be tasks of the very
        // thread that is here: waiting for them would only be waiting for the end of patience.
        self.broker.leave();
    }
}
