//! The addresses of endpoints, for connecting and for binding.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use if_addrs::{Interface, get_if_addrs};

/// An endpoint, taken apart. [`endpoint::check`](crate::endpoint::check) has accepted its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Tcp {
        host: Box<str>,
        port: Port,
    },
    /// A socket file.
    Ipc(PathBuf),
    /// A name of Linux that is not in the file system: `ipc://@name`.
    Abstract(Box<str>),
    Inproc(Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    Number(u16),
    /// `*`: the system chooses a port.
    Any,
}

impl Address {
    pub(super) fn of(endpoint: &str) -> io::Result<Self> {
        let (transport, rest) = endpoint.split_once("://").unwrap_or_default();
        match (transport, rest) {
            ("tcp", rest) => Address::tcp(rest),
            ("ipc", rest) => Ok(match rest.strip_prefix('@') {
                Some(name) => Address::Abstract(name.into()),
                None => Address::Ipc(rest.into()),
            }),
            ("inproc", name) => Ok(Address::Inproc(name.into())),
            _ => Err(invalid("the transport is not one of `tcp`, `ipc` and `inproc`")),
        }
    }

    fn tcp(rest: &str) -> io::Result<Self> {
        let (host, port) =
            rest.rsplit_once(':').ok_or_else(|| invalid("`tcp://` wants `host:port`"))?;
        let port = match port {
            "*" => Port::Any,
            port => Port::Number(port.parse().map_err(|_| invalid("the port is not a number"))?),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Ok(Address::Tcp { host: host.into(), port })
    }
}

/// The socket addresses to bind for this host and port, in the order to try. Resolves names; blocks.
pub(super) fn to_bind(host: &str, port: Port) -> io::Result<Vec<SocketAddr>> {
    let port = match port {
        Port::Number(port) => port,
        Port::Any => 0,
    };
    match host {
        "*" => Ok(vec![(Ipv4Addr::UNSPECIFIED, port).into()]),
        "::" => Ok(vec![(Ipv6Addr::UNSPECIFIED, port).into()]),
        host if is_interface(host) => of_interface(host, port),
        host => {
            let found = (host, port).to_socket_addrs().map_err(|_| {
                io::Error::new(
                    ErrorKind::AddrNotAvailable,
                    "the name is not known; bind an address of this machine, or `*` for all of them",
                )
            })?;
            Ok(found.collect())
        }
    }
}

/// Whether this may be the name of an interface: it is no address, and the system has an interface of this name.
fn is_interface(name: &str) -> bool {
    name.parse::<IpAddr>().is_err() && interfaces().any(|interface| interface.name == name)
}

/// The addresses of an interface, those of IPv4 first.
fn of_interface(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut found: Vec<SocketAddr> = interfaces()
        .filter(|interface| interface.name == name)
        .map(|interface| (interface.ip(), port).into())
        .collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    Ok(found)
}

fn interfaces() -> impl Iterator<Item = Interface> {
    // An error counts as no interfaces: then the name is looked up as a host.
    get_if_addrs().unwrap_or_default().into_iter()
}

/// The endpoint that is bound to this socket address.
pub(super) fn endpoint_of(bound: SocketAddr) -> String {
    format!("tcp://{bound}")
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_taken_apart() {
        let tcp = |host: &str, port| Address::Tcp { host: host.into(), port };
        for (endpoint, address) in [
            ("tcp://localhost:5555", tcp("localhost", Port::Number(5_555))),
            ("tcp://*:*", tcp("*", Port::Any)),
            ("tcp://[::1]:80", tcp("::1", Port::Number(80))),
            ("tcp://[fe80::1%lo]:*", tcp("fe80::1%lo", Port::Any)),
            ("ipc:///tmp/x", Address::Ipc("/tmp/x".into())),
            ("ipc://@x", Address::Abstract("x".into())),
            ("inproc://a", Address::Inproc("a".into())),
        ] {
            assert_eq!(Address::of(endpoint).unwrap(), address, "{endpoint}");
        }
        for wrong in ["udp://a:1", "tcp://a", "tcp://a:b", "tcp://a:70000", ""] {
            assert_eq!(Address::of(wrong).unwrap_err().kind(), ErrorKind::InvalidInput, "{wrong}");
        }
    }

    #[test]
    fn addresses_to_bind() {
        let bind = |host, port| to_bind(host, port).unwrap();
        assert_eq!(bind("*", Port::Any), ["0.0.0.0:0".parse().unwrap()]);
        assert_eq!(bind("127.0.0.1", Port::Number(80)), ["127.0.0.1:80".parse().unwrap()]);
        if cfg!(target_os = "linux") {
            assert_eq!(bind("lo", Port::Number(80))[0], "127.0.0.1:80".parse().unwrap());
        }
        assert_eq!(endpoint_of(bind("::", Port::Number(80))[0]), "tcp://[::]:80");
    }
}
