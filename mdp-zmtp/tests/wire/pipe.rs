//! Two connections over a pipe that cuts everything into pieces at random, from a seed.

use bytes::{Bytes, BytesMut};
use mdp_zmtp::SocketType::{Dealer, Router};
use mdp_zmtp::{Config, Event, Limits, Message, Output};

use crate::side::{Side, curve_client, curve_server, seed};

/// Xorshift.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % end
    }
}

const LIMITS: Limits = Limits {
    handshake_ms: 2_000,
    handshake_bytes: 8_192,
    command_bytes: 4_096,
    frame_bytes: 8 << 20,
    message_frames: 40,
    message_bytes: 16 << 20,
};

/// Moves a random part of what is written.
fn carry(random: &mut Random, out: &mut Output, input: &mut BytesMut) {
    if out.is_empty() {
        return;
    }
    let most = [3, 100, 5_000, 1 << 20][random.below(4)];
    let count = 1 + random.below(out.len().min(most));
    let octets: Vec<u8> = out.chunks().flatten().copied().take(count).collect();
    out.advance(count);
    // As a driver does that reads all into one buffer.
    if input.is_empty() && random.below(4) == 0 {
        *input = BytesMut::with_capacity(1 << 16);
    }
    input.extend_from_slice(&octets);
}

fn receive(side: &mut Side, got: &mut Vec<Message>) {
    while let Some(event) = side.next().unwrap() {
        match event {
            Event::Admission(_) => side.connection.admit(&mut side.out).unwrap(),
            Event::Message(message) => got.push(message),
            _ => {}
        }
    }
}

fn message(random: &mut Random) -> Message {
    let most = [1, 3, 40][random.below(3)];
    let frames = 1 + random.below(most);
    let frame = |random: &mut Random| {
        let most = [1, 2, 256, 1_500, 70_000][random.below(5)];
        let len = random.below(most + 1);
        Bytes::from(vec![random.below(256) as u8; len])
    };
    Message::from((0..frames).map(|_| frame(random)).collect::<Vec<_>>())
}

fn exchange(one: Config, other: Config, random: &mut Random, messages: &[Message]) {
    let mut one = Side::with_seed(one.limits(LIMITS), seed(1));
    let mut other = Side::with_seed(other.limits(LIMITS), seed(2));
    let (mut got, mut got_back) = (Vec::new(), Vec::new());
    let (mut sent, mut sent_back) = (0, 0);
    while got.len() < messages.len() || got_back.len() < messages.len() {
        for (side, sent) in [(&mut one, &mut sent), (&mut other, &mut sent_back)] {
            if side.connection.is_ready() && *sent < messages.len() && random.below(3) == 0 {
                side.connection.send(messages[*sent].frames(), &mut side.out).unwrap();
                *sent += 1;
            }
        }
        carry(random, &mut one.out, &mut other.input);
        carry(random, &mut other.out, &mut one.input);
        receive(&mut one, &mut got_back);
        receive(&mut other, &mut got);
    }
    assert!(got == messages && got_back == messages);
    assert!(one.out.is_empty() && other.out.is_empty());
}

#[test]
fn messages_arrive_as_they_were_sent() {
    for round in 1..=40 {
        let random = &mut Random(round * 0x9e37_79b9);
        println!("round {round}");
        let messages: Vec<Message> = (0..20).map(|_| message(random)).collect();
        exchange(Config::new(Dealer), Config::new(Router), random, &messages);
        exchange(curve_client(Dealer), curve_server(Router), random, &messages);
    }
}

#[test]
fn large_messages_arrive_as_they_were_sent() {
    let random = &mut Random(0xb16);
    let frame = |mib: usize| Bytes::from(vec![5; mib << 20]);
    let messages =
        [Message::from(vec![Bytes::new(), frame(1), Bytes::new(), frame(4)]), frame(8).into()];
    exchange(Config::new(Dealer), Config::new(Router), random, &messages);
    exchange(curve_client(Dealer), curve_server(Router), random, &messages);
}
