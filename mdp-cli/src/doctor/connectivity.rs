//! Checks the connection to the broker: names, connections, keys.

use std::time::{Duration, Instant};

use mdp_runtime::security::HandshakeFault;
use mdp_runtime::{Client, ConnectError, LossCause};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::Finding;
use crate::connect::Connection;

/// The time limit of each step.
const PATIENCE: Duration = Duration::from_secs(3);

/// Checks whether a program listens at an endpoint.
pub(super) async fn to(endpoint: &str) -> Vec<Finding> {
    match endpoint.split_once("://") {
        Some(("tcp", address)) => to_tcp(endpoint, address).await,
        Some(("ipc", path)) => vec![to_ipc(endpoint, path)],
        _ => {
            let mend = "write tcp://HOST:PORT or ipc://PATH";
            vec![Finding::failed(
                "endpoint",
                format!("{endpoint} cannot be reached from this machine"),
                mend,
            )]
        }
    }
}

async fn to_tcp(endpoint: &str, address: &str) -> Vec<Finding> {
    let found = match timeout(PATIENCE, lookup_host(address)).await {
        Ok(Ok(found)) => found.collect::<Vec<_>>(),
        Ok(Err(error)) => {
            let mend = "correct the name or the port, or the name server's records";
            return vec![Finding::failed("dns", format!("{endpoint}: {error}"), mend)];
        }
        Err(_) => {
            let found = format!("{endpoint}: the name was not resolved in {PATIENCE:?}");
            return vec![Finding::failed("dns", found, "check that a name server answers")];
        }
    };
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    let mut findings = vec![Finding::ok("dns", format!("{endpoint} is {}", shown.join(", ")))];
    let start = Instant::now();
    let mut last = "it has no address".to_owned();
    for address in found {
        match timeout(PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(_)) => {
                let found = format!("{address} answered in {:.1?}", start.elapsed());
                findings.push(Finding::ok("tcp", found));
                return findings;
            }
            Ok(Err(error)) => last = format!("{address}: {error}"),
            Err(_) => last = format!("{address}: no answer in {PATIENCE:?}"),
        }
    }
    let mend = "start the broker there, bind it to an address that others reach, or open the port in the firewall";
    findings.push(Finding::failed("tcp", last, mend));
    findings
}

fn to_ipc(endpoint: &str, path: &str) -> Finding {
    match std::fs::metadata(path) {
        Ok(_) => Finding::ok("ipc", format!("{endpoint} is there")),
        Err(error) => {
            let mend = "start the broker with this path, on this machine";
            Finding::failed("ipc", format!("{endpoint}: {error}"), mend)
        }
    }
}

/// Opens a session with the broker, with the given keys.
pub(super) async fn session(connection: &Connection) -> (Option<Client>, Vec<Finding>) {
    let start = Instant::now();
    let error = match connection.client_within(PATIENCE).await {
        Ok(client) => {
            let secure =
                if connection.curve.is_some() { "encrypted with CURVE" } else { "not encrypted" };
            let found = format!("the broker said WELCOME in {:.1?}, {secure}", start.elapsed());
            return (Some(client), vec![Finding::ok("session", found)]);
        }
        Err(error) => error,
    };
    let mend = match &error {
        ConnectError::Handshake { fault, .. } => mend_of(*fault),
        ConnectError::NoBroker { cause: Some(LossCause::Said(_)), .. } => {
            "the broker refused the session: check its policy and its limits, or wait if it is shutting down"
        }
        ConnectError::NoBroker { .. } if connection.curve.is_none() => {
            "check that it is a broker of MDP/RPC; if it requires CURVE, give its public key with --server-key"
        }
        ConnectError::NoBroker { .. } => {
            "check that it is a broker of MDP/RPC with CURVE; without CURVE, leave --server-key out"
        }
        _ => "correct the endpoint or the keys",
    };
    let found = Finding::failed("session", format!("{:#}", anyhow::anyhow!(error)), mend);
    (None, vec![found])
}

fn mend_of(fault: HandshakeFault) -> &'static str {
    match fault {
        HandshakeFault::Refused { .. } => {
            "put your public key into the broker's policy or its folder of allowed keys, or give the right one with --key"
        }
        HandshakeFault::Mechanism => {
            "use CURVE on both sides or on neither: [curve] at the broker, --server-key here"
        }
        _ => "compare --server-key with the output of `mdp keys show` for the broker's key",
    }
}
