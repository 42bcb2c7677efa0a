//! A body as bytes, of records and of classic messages.

use mdp_protocol::wire::{self, Head, Tail, put_frame, split_frames};
use mdp_protocol::{Limits, Payload};

#[derive(Clone, Debug, Default)]
pub struct Body {
    name: Vec<u8>,
    meta: Option<Vec<u8>>,
    payload: Vec<u8>,
    raw: bool,
}

impl Body {
    pub fn of(head: &Head, packet: &[u8], frames: &[Vec<u8>]) -> Self {
        Body {
            name: head.name.of(packet).into(),
            meta: head.flags.has(wire::Flags::META).then(|| head.meta.of(packet).into()),
            payload: match head.body {
                wire::Body::Inline(payload) => payload.of(packet).into(),
                wire::Body::Frame(number) => frames[number as usize].clone(),
            },
            raw: head.flags.has(wire::Flags::RAW),
        }
    }

    pub fn of_frames(service: &[u8], frames: &[Vec<u8>]) -> Self {
        let mut payload = Vec::new();
        frames.iter().for_each(|frame| put_frame(&mut payload, frame));
        Body { name: service.into(), meta: None, payload, raw: true }
    }

    /// A typed body.
    pub fn of_path(path: &[u8], payload: &[u8]) -> Self {
        Body { name: path.into(), payload: payload.into(), ..Body::default() }
    }

    pub fn of_text(text: &str) -> Self {
        Body { payload: text.into(), ..Body::default() }
    }

    pub fn frames(&self) -> Vec<Vec<u8>> {
        if !self.raw {
            return vec![self.payload.clone()];
        }
        let mut frames = Vec::new();
        split_frames(&self.payload, 32, |range| frames.push(self.payload[range].to_vec())).unwrap();
        frames
    }

    /// The bytes behind a record's fixed part; all payloads travel in the packet.
    pub fn put<N: AsRef<[u8]>, P>(&self, packet: &mut Vec<u8>, record: &wire::Record<N, P>) {
        let mut bytes = self.name.clone();
        if let Some(meta) = &self.meta {
            bytes.extend_from_slice(&(meta.len() as u32).to_be_bytes());
            bytes.extend_from_slice(meta);
        }
        bytes.extend_from_slice(&self.payload);
        let tail = Tail {
            bytes: &bytes,
            name_len: self.name.len() as u8,
            meta: self.meta.is_some(),
            payload_len: self.payload.len() as u32,
            raw: self.raw,
            ..Tail::default()
        };
        wire::put_tail(packet, record, tail);
    }
}

impl Payload for Body {
    fn path(&self) -> &[u8] {
        &self.name
    }

    fn is_raw(&self) -> bool {
        self.raw
    }

    fn tunnel(&self, limits: &Limits) -> Option<wire::Command> {
        wire::tunnel::command(&self.frames(), limits)
    }

    fn last_frame(&self) -> &[u8] {
        let mut last = 0..0;
        split_frames(&self.payload, 32, |range| last = range).unwrap();
        &self.payload[last]
    }

    fn request(path: &[u8]) -> Option<Self> {
        Some(Body::of_path(path, b""))
    }

    fn message(&self) -> Option<&[u8]> {
        (!self.raw).then_some(&self.payload)
    }

    fn size(&self) -> usize {
        self.name.len() + self.meta.as_ref().map_or(0, |meta| meta.len() + 4) + self.payload.len()
    }

    fn keep(&self) -> Self {
        self.clone()
    }

    fn detach(self) -> Self {
        self
    }
}
