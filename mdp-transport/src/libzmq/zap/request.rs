//! Requests and replies of ZAP (RFC 27) as frames. Any input gives an answer or no answer, and never a panic.

use crate::security::PublicKey;

const VERSION: &[u8] = b"1.0";
/// Maximum length of a string and of an identity, in bytes.
const LONGEST: usize = 255;

/// The accepted key, or the reason for a refusal.
pub(super) type Verdict = Result<PublicKey, Refusal>;

/// The reason why a peer may not connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The peer is not allowed to connect (400).
    Denied(&'static str),
    /// The request is invalid (500).
    Faulty(&'static str),
}

/// The question of a server: may the owner of this key connect?
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Question<'a> {
    pub(super) domain: &'a str,
    pub(super) address: &'a str,
    pub(super) key: PublicKey,
}

/// The answer to a request, with all frames of the way back to the asking server. `None`: the request has no way back.
pub(super) fn answer(
    frames: &[Vec<u8>],
    decide: impl FnOnce(&Question<'_>) -> Verdict,
) -> Option<Vec<Vec<u8>>> {
    // The routing ids of all sockets on the way, and the empty frame after them.
    let delimiter = frames.iter().position(Vec::is_empty)?;
    let (envelope, rest) = frames.split_at_checked(delimiter + 1)?;
    let verdict = read(rest).and_then(|question| decide(&question));
    let (status, text, user) = match verdict {
        Ok(key) => ("200", "", key.to_string()),
        Err(Refusal::Denied(text)) => ("400", text, String::new()),
        Err(Refusal::Faulty(text)) => ("500", text, String::new()),
    };
    let id = rest.get(1).cloned().unwrap_or_default();
    let mut reply = envelope.to_vec();
    reply.push(VERSION.to_vec());
    reply.push(id);
    reply.extend([status, text, &user].map(|text| text.as_bytes().to_vec()));
    // The reply has no metadata.
    reply.push(Vec::new());
    Some(reply)
}

fn read(frames: &[Vec<u8>]) -> Result<Question<'_>, Refusal> {
    let [version, _id, domain, address, identity, mechanism, credentials @ ..] = frames else {
        return Err(Refusal::Faulty("too few frames"));
    };
    if version != VERSION {
        return Err(Refusal::Faulty("the version is not 1.0"));
    }
    let domain = string(domain).ok_or(Refusal::Faulty("the domain is not a string"))?;
    let address = string(address).ok_or(Refusal::Faulty("the address is not a string"))?;
    if identity.len() > LONGEST {
        return Err(Refusal::Faulty("the identity is too long"));
    }
    let wrong = Refusal::Faulty("the credentials are not those of the mechanism");
    match string(mechanism) {
        None | Some("") => Err(Refusal::Faulty("the mechanism is not a string")),
        Some("CURVE") => match credentials {
            [key] => match key.as_slice().try_into() {
                Ok(key) => Ok(Question { domain, address, key: PublicKey::from_bytes(key) }),
                Err(_) => Err(wrong),
            },
            _ => Err(wrong),
        },
        Some("NULL") if !credentials.is_empty() => Err(wrong),
        Some("PLAIN") if credentials.len() != 2 => Err(wrong),
        Some(_) => Err(Refusal::Denied("CURVE is wanted")),
    }
}

/// Reads printable ASCII of at most 255 bytes. The text may be empty.
fn string(frame: &[u8]) -> Option<&str> {
    let good = frame.len() <= LONGEST && frame.iter().all(|byte| (0x20..0x7f).contains(byte));
    if good { str::from_utf8(frame).ok() } else { None }
}
