//! The body of a call as it moves: a slice of the packet it came in, or bytes of its own.

use bytes::Bytes;
use mdp_protocol::Payload;
use mdp_protocol::wire::{self, Head, Tail};

use crate::compress;
use crate::status::Status;

/// Payloads above this many bytes travel in a frame of their own, which is moved and never copied;
/// below it a copy into the packet costs less than a frame does.
pub(crate) const INLINE_MOST: usize = 8 * 1024;

/// Name, metadata and payload of a REQUEST or of a FINAL.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body {
    /// The peer's id, if any, then the record's tail.
    bytes: Bytes,
    /// The payload, if it has a frame of its own.
    out: Option<Box<Bytes>>,
    payload_len: u32,
    peer_len: u8,
    name_len: u8,
    meta: bool,
    /// The payload is compressed.
    compressed: bool,
    /// `bytes` is an allocation of its own, not a part of a packet.
    own: bool,
}

impl Body {
    /// A body to send: `head` is the name, `encode` appends the payload of `len` bytes.
    pub(crate) fn new(
        name: &str,
        meta: Option<&[u8]>,
        len: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Self {
        let meta_len = meta.map_or(0, |meta| meta.len() + 4);
        let inline = len <= INLINE_MOST;
        let room = name.len() + meta_len + if inline { len } else { 0 };
        let mut bytes = Vec::with_capacity(room);
        bytes.extend_from_slice(name.as_bytes());
        if let Some(meta) = meta {
            bytes.extend_from_slice(&(meta.len() as u32).to_be_bytes());
            bytes.extend_from_slice(meta);
        }
        let mut out = None;
        if inline {
            encode(&mut bytes);
        } else {
            let mut payload = Vec::with_capacity(len);
            encode(&mut payload);
            out = Some(Box::new(Bytes::from(payload)));
        }
        Body {
            bytes: Bytes::from(bytes),
            out,
            payload_len: u32::try_from(len).unwrap_or(u32::MAX),
            peer_len: 0,
            name_len: name.len().min(255) as u8,
            meta: meta.is_some(),
            compressed: false,
            own: true,
        }
    }

    /// A body to send, whose payload is there already.
    pub(crate) fn with_payload(name: &str, meta: Option<&[u8]>, payload: Bytes) -> Self {
        if name.is_empty() && meta.is_none() && payload.len() <= INLINE_MOST {
            let payload_len = payload.len() as u32;
            return Body { bytes: payload, payload_len, own: true, ..Body::default() };
        }
        if payload.len() <= INLINE_MOST {
            return Body::new(name, meta, payload.len(), |bytes| bytes.extend_from_slice(&payload));
        }
        let mut body = Body::new(name, meta, 0, |_| {});
        body.payload_len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        body.out = Some(Box::new(payload));
        body
    }

    /// An item to send that is a part of something larger.
    pub(crate) fn of_shared(payload: Bytes) -> Self {
        let payload_len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        if payload.len() > INLINE_MOST {
            return Body {
                payload_len,
                out: Some(Box::new(payload)),
                own: true,
                ..Body::default()
            };
        }
        Body { bytes: payload, payload_len, ..Body::default() }
    }

    /// The body of a record that was decoded from `packet` with its payload frames.
    pub(crate) fn of(head: &Head, packet: &Bytes, frames: &[Bytes]) -> Self {
        let start = if head.peer.is_empty() { head.tail } else { head.peer }.range().start;
        let out = match head.body {
            wire::Body::Inline(_) => None,
            wire::Body::Frame(number) => {
                frames.get(number as usize).map(|frame| Box::new(frame.clone()))
            }
        };
        Body {
            bytes: packet.slice(start..head.tail.range().end),
            out,
            payload_len: head.payload_len,
            peer_len: head.peer.len() as u8,
            name_len: head.name.len() as u8,
            meta: head.flags.has(wire::Flags::META),
            compressed: head.flags.has(wire::Flags::COMPRESSED),
            own: false,
        }
    }

    /// The id of the peer behind the record: the client of a REQUEST, the worker of a FINAL.
    pub(crate) fn peer(&self) -> Bytes {
        self.bytes.slice(..usize::from(self.peer_len).min(self.bytes.len()))
    }

    /// The metadata as it was encoded; empty if there is none.
    pub(crate) fn meta(&self) -> Bytes {
        let (start, end) = self.meta_range();
        self.bytes.slice(start..end)
    }

    /// The payload.
    pub(crate) fn payload(&self) -> Bytes {
        match &self.out {
            Some(payload) => payload.as_ref().clone(),
            None => self.bytes.slice(self.meta_range().1..),
        }
    }

    /// Says that the payload is compressed.
    pub(crate) fn compressed(mut self, compressed: bool) -> Self {
        self.compressed = compressed;
        self
    }

    /// Whether the payload is compressed.
    pub(crate) fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// The payload as it was before it was compressed, of at most so many bytes.
    ///
    /// # Errors
    ///
    /// It is too large, or cannot be decompressed.
    pub(crate) fn plain(&self, most: usize) -> Result<Bytes, Status> {
        let payload = self.payload();
        if self.compressed { compress::unpack(&payload, most) } else { Ok(payload) }
    }

    /// The payload's frame, if it has one of its own.
    pub(crate) fn out(&self) -> Option<&Bytes> {
        self.out.as_deref()
    }

    pub(crate) fn tail(&self) -> Tail<'_> {
        Tail {
            bytes: self.bytes.get(usize::from(self.peer_len)..).unwrap_or_default(),
            name_len: self.name_len,
            meta: self.meta,
            payload_len: self.payload_len,
            out: self.out.is_some(),
            compressed: self.compressed,
        }
    }

    /// Where the metadata begins and ends, always within the bytes.
    fn meta_range(&self) -> (usize, usize) {
        let name_end = usize::from(self.peer_len) + usize::from(self.name_len);
        let name_end = name_end.min(self.bytes.len());
        if !self.meta {
            return (name_end, name_end);
        }
        let rest = self.bytes.get(name_end..).unwrap_or_default();
        let len = rest.first_chunk::<4>().map_or(0, |len| u32::from_be_bytes(*len) as usize);
        let start = (name_end + 4).min(self.bytes.len());
        (start, start.saturating_add(len).min(self.bytes.len()))
    }
}

impl Payload for Body {
    fn path(&self) -> &[u8] {
        let start = usize::from(self.peer_len);
        self.bytes.get(start..start + usize::from(self.name_len)).unwrap_or_default()
    }

    fn size(&self) -> usize {
        self.bytes.len() + self.out.as_ref().map_or(0, |out| out.len())
    }

    fn largest_frame(&self) -> usize {
        self.out.as_ref().map_or(0, |out| out.len()).max(self.bytes.len())
    }

    fn keep(&self) -> Self {
        self.clone().detach()
    }

    fn detach(mut self) -> Self {
        if !self.own {
            // A slice would hold the whole packet, which may be a thousand times as large. A payload
            // frame is the call's own, so it is shared.
            self.bytes = Bytes::copy_from_slice(&self.bytes);
            self.own = true;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdp_protocol::Limits;
    use mdp_protocol::wire::Record;

    fn through_the_wire(body: &Body) -> Body {
        let record = Record::Request {
            call: 7,
            timeout: mdp_protocol::Span::from_ms(5),
            idempotent: true,
            attempt: 1,
            peer: b"client-1".as_slice(),
            kind: wire::CallKind::Unary,
            body: (),
        };
        let mut packet = Vec::new();
        wire::put_tail(&mut packet, &record, body.tail());
        let frames: Vec<Bytes> = body.out().cloned().into_iter().collect();
        let lens: Vec<usize> = frames.iter().map(Bytes::len).collect();
        let mut heads = Vec::new();
        wire::decode(&packet, &lens, &Limits::default(), &mut heads).unwrap();
        Body::of(&heads[0], &Bytes::from(packet), &frames)
    }

    #[test]
    fn a_body_comes_through_the_wire_as_it_was() {
        for len in [0, 1, INLINE_MOST, INLINE_MOST + 1] {
            for meta in [None, Some(b"meta".as_slice()), Some(b"".as_slice())] {
                let payload = Bytes::from(vec![3; len]);
                let sent = Body::with_payload("a.B/C", meta, payload.clone());
                let came = through_the_wire(&sent);
                assert_eq!(came.path(), b"a.B/C");
                assert_eq!(came.meta(), meta.unwrap_or_default());
                assert_eq!(came.payload(), payload);
                assert_eq!(came.peer(), b"client-1".as_slice());
                assert_eq!(came.out().is_some(), len > INLINE_MOST);
                assert_eq!(came.keep().payload(), payload);
                assert_eq!(through_the_wire(&came.detach()).payload(), payload);
            }
        }
    }
}
