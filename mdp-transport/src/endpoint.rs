//! Checks endpoints: `tcp://host:port`, `ipc://path`, `inproc://name`.

use std::net::IpAddr;

/// An endpoint that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The list of endpoints is empty.
    #[error("no endpoint is given; name one, `tcp://127.0.0.1:5555` for instance")]
    None,
    /// The text is not a valid endpoint.
    #[error("`{endpoint}` is not an endpoint: {problem}")]
    Invalid {
        /// The text.
        endpoint: String,
        /// The problem, and the correct form.
        problem: &'static str,
    },
}

/// Checks for mistakes that libzmq would report later, with a number, or not at all.
pub fn check(endpoint: &str) -> Result<(), EndpointError> {
    let problem = match endpoint.split_once("://") {
        None => Some("it has no transport; write `tcp://`, `ipc://` or `inproc://` before it"),
        Some(("tcp", address)) => check_tcp(address),
        Some(("ipc", "")) => Some("`ipc://` needs the path of a socket file"),
        Some(("inproc", "")) => Some("`inproc://` needs a name"),
        Some(("ipc" | "inproc", _)) => None,
        Some(_) => Some("the transport is not one of `tcp`, `ipc` and `inproc`"),
    };
    match problem {
        _ if endpoint.contains('\0') => Err(invalid(endpoint, "it contains a NUL byte")),
        Some(problem) => Err(invalid(endpoint, problem)),
        None => Ok(()),
    }
}

/// The first endpoint that other machines can reach.
pub fn open_to_others(endpoints: &[String]) -> Option<&String> {
    endpoints.iter().find(|endpoint| !is_local(endpoint))
}

/// Whether only this machine can reach an endpoint when it is bound. A host name is not local: in a bound endpoint it
/// names a network interface.
fn is_local(endpoint: &str) -> bool {
    let Some(address) = endpoint.strip_prefix("tcp://") else { return true };
    let Some((host, _)) = address.rsplit_once(':') else { return false };
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse() {
        Ok(IpAddr::V4(address)) => address.is_loopback(),
        Ok(IpAddr::V6(address)) => address.is_loopback(),
        Err(_) => false,
    }
}

/// Checks a list of endpoints. An empty list is an error.
pub fn check_all(endpoints: &[String]) -> Result<(), EndpointError> {
    if endpoints.is_empty() {
        return Err(EndpointError::None);
    }
    endpoints.iter().try_for_each(|endpoint| check(endpoint))
}

fn invalid(endpoint: &str, problem: &'static str) -> EndpointError {
    EndpointError::Invalid { endpoint: endpoint.to_owned(), problem }
}

fn check_tcp(address: &str) -> Option<&'static str> {
    match address.rsplit_once(':') {
        None => Some("`tcp://` wants `host:port`"),
        Some(("", _)) => Some("the host is missing; `*` binds all interfaces"),
        Some((_, "*")) => None,
        Some((_, port)) if port.parse::<u16>().is_err() => {
            Some("the port must be a number up to 65535, or `*`")
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_local() {
        for local in [
            "tcp://127.0.0.1:*",
            "tcp://127.9.8.7:1",
            "tcp://[::1]:80",
            "ipc:///tmp/x",
            "inproc://a",
        ] {
            assert!(is_local(local), "{local}");
        }
        for open in [
            "tcp://*:1",
            "tcp://0.0.0.0:1",
            "tcp://[::]:1",
            "tcp://[::ffff:0.0.0.0]:1",
            "tcp://10.0.0.1:1",
            "tcp://128.0.0.1:1",
            "tcp://[fe80::1%lo]:1",
            "tcp://eth0:1",
            "tcp://lo:1",
            "tcp://localhost.example:1",
            "tcp://127.0.0.1.example:1",
            "tcp://127.1:1",
        ] {
            assert!(!is_local(open), "{open}");
        }
    }

    #[test]
    fn good_ones_pass_and_bad_ones_say_why() {
        for good in
            ["tcp://127.0.0.1:5555", "tcp://*:*", "tcp://[::1]:80", "ipc:///tmp/x", "inproc://a"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, word) in [
            ("127.0.0.1:5555", "transport"),
            ("http://a:1", "transport"),
            ("tcp://localhost", "host:port"),
            ("tcp://:1", "host"),
            ("tcp://a:70000", "port"),
            ("ipc://", "path"),
            ("inproc://", "name"),
            ("inproc://a\0b", "NUL"),
        ] {
            let error = check(bad).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        assert_eq!(check_all(&[]), Err(EndpointError::None));
    }
}
