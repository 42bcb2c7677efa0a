//! tarpc: the client directly at the server, over TCP, with bincode.

use anyhow::{Context, Result};
use bytes::Bytes;
use tarpc::serde_transport::tcp;
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_serde::formats::Bincode;
use tarpc::{client, context};
use tokio_stream::StreamExt;

use super::runtime;
use crate::load::{self, Caller, Load};

#[allow(missing_docs)]
mod service {
    #[tarpc::service]
    pub(crate) trait Echo {
        async fn unary(body: Vec<u8>) -> Vec<u8>;
    }
}
use service::{Echo, EchoClient};

/// The server, until the parent ends it.
pub(crate) fn worker() -> Result<()> {
    runtime()?.block_on(async {
        let mut listener = tcp::listen("127.0.0.1:0", Bincode::default).await?;
        println!("ready {}", listener.local_addr());
        while let Some(connection) = listener.next().await {
            let connection = connection?;
            connection.get_ref().set_nodelay(true)?;
            let mut calls = Box::pin(BaseChannel::with_defaults(connection).execute(Back.serve()));
            tokio::spawn(async move {
                while let Some(call) = calls.next().await {
                    tokio::spawn(call);
                }
            });
        }
        anyhow::bail!("the server ended")
    })
}

/// Calls as the load says, and measures.
pub(crate) fn client(address: &str, load: Load) -> Result<()> {
    load.needs_one_connection()?;
    runtime()?.block_on(async {
        let connection = tcp::connect(address, Bincode::default).await.context("no server")?;
        connection.get_ref().set_nodelay(true)?;
        let mut config = client::Config::default();
        // Beyond any load, as elsewhere.
        config.max_in_flight_requests = 1 << 20;
        load::run(vec![EchoClient::new(config, connection).spawn()], load).await
    })
}

impl Caller for EchoClient {
    async fn call(&self, body: Bytes) -> Result<usize> {
        Ok(self.unary(context::current(), body.to_vec()).await?.len())
    }
}

#[derive(Clone)]
struct Back;

impl Echo for Back {
    async fn unary(self, _: context::Context, body: Vec<u8>) -> Vec<u8> {
        body
    }
}
