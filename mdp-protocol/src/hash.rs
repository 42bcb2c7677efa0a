//! Hashes for tables whose keys peers choose.
//!
//! Both are keyed with the seed of the machine, so that no peer can make keys that collide. Names (services, ids,
//! principals) stay with foldhash: [`names::check`](crate::names::check) lets printable ASCII through and nothing
//! else, and the inputs that defeat foldhash whatever its seed hold other bytes.

use core::hash::{BuildHasher, Hasher};

use siphasher::sip::SipHasher13;

/// Hashes bytes of a peer's choice: routing ids.
#[derive(Clone, Debug)]
pub(crate) struct BytesState {
    keys: [u64; 2],
}

impl BytesState {
    pub(crate) fn with_seed(seed: u64) -> Self {
        BytesState { keys: [mix(seed), mix(!seed)] }
    }
}

impl BuildHasher for BytesState {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        let [first, second] = self.keys;
        SipHasher13::new_with_keys(first, second)
    }
}

/// Hashes numbers of a peer's choice: a client's numbers of its calls.
#[derive(Clone, Debug)]
pub(crate) struct NumberState {
    keys: [u64; 2],
}

impl NumberState {
    pub(crate) fn with_seed(seed: u64) -> Self {
        NumberState { keys: [mix(seed ^ 0x6a09_e667_f3bc_c908), mix(!seed) | 1] }
    }
}

impl BuildHasher for NumberState {
    type Hasher = NumberHasher;

    fn build_hasher(&self) -> NumberHasher {
        NumberHasher { state: self.keys[0], key: self.keys[1] }
    }
}

/// The hasher of [`NumberState`]. Neither factor of its products is known to a peer.
#[derive(Clone, Debug)]
pub(crate) struct NumberHasher {
    state: u64,
    key: u64,
}

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        let product = u128::from(number ^ self.state) * u128::from(self.key);
        // The high half depends on all bits, the low one on the lower bits of the number only.
        self.state = (product as u64) ^ ((product >> 64) as u64) ^ self.key.rotate_left(32);
    }

    fn finish(&self) -> u64 {
        let product = u128::from(self.state) * u128::from(self.key);
        (product as u64) ^ ((product >> 64) as u64)
    }
}

/// The finisher of splitmix64.
fn mix(seed: u64) -> u64 {
    let seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ (seed >> 31)
}
