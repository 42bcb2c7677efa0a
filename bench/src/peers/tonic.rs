//! tonic: gRPC, the client directly at the server, over one channel.

use anyhow::{Context, Result};
use bytes::Bytes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};

use super::runtime;
use crate::load::{self, Caller, Load};
use pb::Ball;
use pb::echo_client::EchoClient;
use pb::echo_server::{Echo, EchoServer};

#[allow(missing_docs, unreachable_pub, dead_code)] // what `build.rs` made
mod pb {
    include!(concat!(env!("OUT_DIR"), "/tonic/bench.v1.rs"));
}

/// The server, until the parent ends it.
pub(crate) fn worker() -> Result<()> {
    runtime()?.block_on(async {
        // The server's own setting does not count for connections that it is given: Nagle's algorithm would wait
        // for the client's delayed acknowledgements, 40 ms each.
        let connections = TcpIncoming::bind("127.0.0.1:0".parse()?)?.with_nodelay(Some(true));
        println!("ready http://{}", connections.local_addr()?);
        let server = Server::builder().add_service(EchoServer::new(Back));
        server.serve_with_incoming(connections).await.context("the server ended")
    })
}

/// Calls as the load says, and measures.
pub(crate) fn client(address: &str, load: Load) -> Result<()> {
    runtime()?.block_on(async {
        let connect = async || -> Result<_> { Ok(EchoClient::connect(address.to_string()).await?) };
        load::run(load.open(connect).await?, load).await
    })
}

impl Caller for EchoClient<Channel> {
    async fn call(&self, body: Bytes) -> Result<usize> {
        // Its methods want it for themselves; a clone is the same channel.
        let reply = self.clone().unary(Ball { body }).await?;
        Ok(reply.into_inner().body.len())
    }
}

struct Back;

#[tonic::async_trait]
impl Echo for Back {
    async fn unary(&self, request: Request<Ball>) -> Result<Response<Ball>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}
