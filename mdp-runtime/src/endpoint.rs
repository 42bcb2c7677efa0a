//! Endpoints: `tcp://host:port`, `ipc://path`, `inproc://name`.

use crate::error::EndpointError;

/// Checks what libzmq would refuse later with a number, or not at all.
pub(crate) fn check(endpoint: &str) -> Result<(), EndpointError> {
    let problem = match endpoint.split_once("://") {
        None => Some("it has no transport; write `tcp://`, `ipc://` or `inproc://` before it"),
        Some(("tcp", address)) => check_tcp(address),
        Some(("ipc", "")) => Some("`ipc://` wants the path of a socket file"),
        Some(("inproc", "")) => Some("`inproc://` wants a name"),
        Some(("ipc" | "inproc", _)) => None,
        Some(_) => Some("the transport is not one of `tcp`, `ipc` and `inproc`"),
    };
    match problem {
        _ if endpoint.contains('\0') => Err(invalid(endpoint, "it has a NUL byte")),
        Some(problem) => Err(invalid(endpoint, problem)),
        None => Ok(()),
    }
}

/// Checks a list, which must not be empty.
pub(crate) fn check_all(endpoints: &[String]) -> Result<(), EndpointError> {
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
            Some("the port is not a number up to 65535, nor `*`")
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
