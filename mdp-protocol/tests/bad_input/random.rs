//! Random bytes and random records. A failure prints the seed of its case.

use mdp_protocol::Limits;
use mdp_protocol::Span;
use mdp_protocol::wire::{HEADER_LEN, SIGNATURE, VERSION};

use crate::machines::{ROLES, World, feed_client, feed_worker, hear};

/// A debug build recounts the broker's tables after each step, so it tries fewer.
const CASES: u64 = if cfg!(debug_assertions) { 3_000 } else { 100_000 };

#[test]
fn random_bytes_leave_the_machines_alive() {
    for seed in 0..CASES {
        let _named = Named(seed);
        let mut rng = Rng(seed);
        let mut packet = rng.bytes(200);
        // Some with a good header, else none comes any further.
        if rng.below(4) != 0 {
            packet.splice(0..packet.len().min(2), [SIGNATURE, VERSION]);
        }
        let frames: Vec<usize> = (0..rng.below(3)).map(|_| rng.below(40)).collect();
        one_message(&mut rng, &packet, &frames);
    }
}

#[test]
fn random_records_leave_the_machines_alive() {
    for seed in 0..CASES {
        let _named = Named(seed);
        let mut rng = Rng(seed ^ 0x5eed);
        let (packet, frames) = rng.packet();
        one_message(&mut rng, &packet, &frames);
    }
}

fn one_message(rng: &mut Rng, packet: &[u8], frames: &[usize]) {
    let heard = hear(packet, frames, &Limits::default());
    let role = ROLES[rng.below(ROLES.len())];
    let mut world = World::with(role);
    world.bad(&heard);
    world.assert_alive();
    world.assert_ends(role);
    feed_client(&heard);
    feed_worker(&heard);
}

/// Several peers talk nonsense to one broker, in turns and over time.
#[test]
fn a_crowd_of_random_peers_leaves_the_broker_alive() {
    const ROUTES: [&[u8]; 5] = [b"1", b"2", b"3", b"4", b"5"];
    for seed in 0..CASES / 100 {
        let _named = Named(seed);
        let mut rng = Rng(seed ^ 0xc20d);
        let mut world = World::new(Default::default());
        for _ in 0..100 {
            let route = ROUTES[rng.below(ROUTES.len())];
            match rng.below(20) {
                0 => world.unreachable(route),
                1 => world.tick(Span::from_ms(rng.below(700) as u64)),
                2 | 3 => world.hello(route),
                _ => {
                    let (packet, frames) = rng.packet();
                    world.message(route, &hear(&packet, &frames, &Limits::default()));
                }
            }
            world.broker.audit().unwrap();
            world.keep_good_peers_alive();
        }
        world.assert_alive();
        ROUTES.iter().for_each(|route| world.unreachable(route));
        world.assert_ends(ROLES[0]);
    }
}

/// Prints the seed when the test fails.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the case with seed {} failed", self.0);
        }
    }
}

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn bytes(&mut self, max: usize) -> Vec<u8> {
        (0..self.below(max + 1)).map(|_| self.next() as u8).collect()
    }

    fn of<'a>(&mut self, choice: &[&'a [u8]]) -> &'a [u8] {
        choice[self.below(choice.len())]
    }

    /// A packet that is framed well, mostly, and holds records that may mean anything. Names and
    /// calls come from a few, so that records meet each other.
    fn packet(&mut self) -> (Vec<u8>, Vec<usize>) {
        let mut packet = vec![SIGNATURE, VERSION];
        let mut frames = Vec::new();
        for _ in 0..=self.below(4) {
            self.record(&mut packet, &mut frames);
        }
        if self.below(16) == 0 {
            let at = self.below(packet.len());
            packet[at] = self.next() as u8;
        }
        (packet, frames)
    }

    fn record(&mut self, packet: &mut Vec<u8>, frames: &mut Vec<usize>) {
        let command = match self.below(16) {
            0 => self.next() as u8,
            1..=3 => 4,
            4..=6 => 3,
            7 | 8 => 6,
            9 | 10 => 5,
            11 | 12 => 8,
            _ => 1 + self.below(11) as u8,
        };
        let flags = self.next() as u8;
        let name = match command {
            3 => self.of(&[b"auth.v1.Auth", b"echo.v1.Echo", b"mmi.x", b"", b"a\0"]),
            4 => self.of(&[b"auth.v1.Auth/Login", b"echo.v1.Echo/Say", b"none.v1.N/N", b"x", b""]),
            _ => self.of(&[b"", b"p-1", b"w-1"]),
        };
        let call = (1 + self.below(3) as u64) << 32 | self.below(4) as u64;
        let arg = match self.below(4) {
            0 => self.next() as u32,
            _ => self.below(2_000) as u32,
        };
        let payload = self.bytes(20);
        packet.extend_from_slice(&[command, flags, name.len() as u8, self.next() as u8]);
        packet.extend_from_slice(&call.to_be_bytes());
        packet.extend_from_slice(&arg.to_be_bytes());
        packet.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        if flags & 0x40 != 0 {
            let peer = self.of(&[b"", b"p-1", b"w-1", b"p-3", b"\xff"]);
            packet.push(peer.len() as u8);
            packet.extend_from_slice(peer);
        }
        packet.extend_from_slice(name);
        if flags & 0x04 != 0 {
            let meta = self.bytes(HEADER_LEN);
            packet.extend_from_slice(&(meta.len() as u32).to_be_bytes());
            packet.extend_from_slice(&meta);
        }
        if flags & 0x08 != 0 {
            frames.push(payload.len());
        } else {
            packet.extend_from_slice(&payload);
        }
    }
}
