//! The address of a client's broker, as attributes of spans and metrics.

use opentelemetry::KeyValue;

use super::names;

/// The address of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    address: String,
    port: Option<u16>,
}

impl Server {
    pub(super) fn of(endpoint: &str) -> Option<Self> {
        let (transport, address) = endpoint.split_once("://")?;
        if transport != "tcp" {
            return Some(Server { address: address.to_owned(), port: None });
        }
        // In libzmq's form `tcp://own-interface;host:port` the part before `;` is the local address.
        let address = address.rsplit_once(';').map_or(address, |(_, address)| address);
        let (host, port) = address.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Some(Server { address: host.to_owned(), port: port.parse().ok() })
    }

    pub(super) fn attributes(&self) -> impl Iterator<Item = KeyValue> {
        let address = KeyValue::new(names::SERVER_ADDRESS, self.address.clone());
        let port = self.port.map(|port| KeyValue::new(names::SERVER_PORT, i64::from(port)));
        [Some(address), port].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_address_and_for_tcp_a_port() {
        let found = |endpoint| Server::of(endpoint).map(|server| (server.address, server.port));
        let expected = |address: &str, port| Some((address.to_owned(), port));
        assert_eq!(found("tcp://broker:5555"), expected("broker", Some(5555)));
        assert_eq!(found("tcp://[::1]:5555"), expected("::1", Some(5555)));
        assert_eq!(found("tcp://eth0:0;broker:5555"), expected("broker", Some(5555)));
        assert_eq!(found("ipc:///run/mdp"), expected("/run/mdp", None));
        assert_eq!(found("inproc://broker"), expected("broker", None));
        assert_eq!(found("broker"), None);
    }
}
