//! A relay of TCP that counts the bytes that pass it, both ways together.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context, Result};

/// Stands before a server. Its threads end with the connections; the one that listens ends with the program.
#[derive(Debug)]
pub(crate) struct Tap {
    address: String,
    bytes: Arc<AtomicU64>,
}

impl Tap {
    /// In front of an endpoint, with or without a scheme.
    pub(crate) fn before(endpoint: &str) -> Result<Self> {
        let (scheme, server) = match endpoint.split_once("://") {
            Some((scheme, server)) => (format!("{scheme}://"), server.to_string()),
            None => (String::new(), endpoint.to_string()),
        };
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = format!("{scheme}{}", listener.local_addr()?);
        let bytes = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&bytes);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // Who cannot be connected sees his connection close.
                let _ = join(client, &server, &count);
            }
        });
        Ok(Tap { address, bytes })
    }

    /// Where clients connect instead.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// How many bytes have passed so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

fn join(client: TcpStream, server: &str, count: &Arc<AtomicU64>) -> Result<()> {
    let server = TcpStream::connect(server).context("no server")?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    for (from, to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        let count = Arc::clone(count);
        thread::spawn(move || pass(from, to, &count));
    }
    Ok(())
}

/// One way, until somebody closes.
fn pass(mut from: TcpStream, mut to: TcpStream, count: &AtomicU64) {
    let mut buffer = vec![0; 256 * 1024];
    while let Ok(length) = from.read(&mut buffer) {
        let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else { break };
        count.fetch_add(length as u64, Ordering::Relaxed);
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    // They may be closed already.
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_pass_both_ways_and_are_counted() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let tap = Tap::before(&format!("tcp://{}", server.local_addr().unwrap())).unwrap();
        let mut client = TcpStream::connect(tap.address().trim_start_matches("tcp://")).unwrap();
        let (mut other, _) = server.accept().unwrap();
        client.write_all(b"there").unwrap();
        let mut there = [0; 5];
        other.read_exact(&mut there).unwrap();
        other.write_all(b"back").unwrap();
        let mut back = [0; 4];
        client.read_exact(&mut back).unwrap();
        assert_eq!((&there, &back), (b"there", b"back"));
        assert_eq!(tap.bytes(), 9);
    }
}
