//! The fixed parts: signature, version, commands and flags.

use core::ops::BitOr;

use crate::codes::code_table;

/// The first byte of every packet. It is not ASCII and not a frame's length of classic MDP, so the first byte tells the
/// three dialects apart.
pub const SIGNATURE: u8 = 0xd3;

/// The second byte of every packet: the version of this dialect.
pub const VERSION: u8 = 1;

/// Bytes before the first record of a packet.
pub const PACKET_HEADER_LEN: usize = 2;

/// Bytes of a record before its name.
pub const HEADER_LEN: usize = 20;

code_table! {
    /// The command of a record.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[repr(u8)]
    pub enum Command {
        1 Hello "HELLO" "The first word of a peer: its id, and how often it wants heartbeats."
        2 Welcome "WELCOME" "The broker's answer: the id under which it knows the peer, and what was agreed."
        3 Ready "READY" "A worker offers a service."
        4 Request "REQUEST" "A call begins."
        5 Data "DATA" "An item of a stream."
        6 Final "FINAL" "A call ends."
        7 Cancel "CANCEL" "The caller gives a call up."
        8 Credit "CREDIT" "The other side may send more items."
        9 Heartbeat "HEARTBEAT" "The sender is alive."
        10 Drain "DRAIN" "No new calls, please; the ones that run will end."
        11 Disconnect "DISCONNECT" "The session is over."
        12 Grant "GRANT" "How many of the slots that several brokers share one of them may use."
        13 Demand "DEMAND" "How many calls wait for such slots."
    }
    name: "The name as `docs/wire.md` writes it."
}

impl Command {
    /// The command with this number on the wire. `None`: the number is unknown.
    pub const fn from_u8(number: u8) -> Option<Self> {
        Command::of_number(number as u32)
    }
}

/// The flags of a record. Bits that a reader does not know are ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u8);

impl Flags {
    /// No flag.
    pub const NONE: Flags = Flags(0);
    /// This direction of the call ends with this record.
    pub const END: Flags = Flags(0x01);
    /// REQUEST: the method may run more than once.
    pub const IDEMPOTENT: Flags = Flags(0x02);
    /// The record has metadata between name and payload.
    pub const META: Flags = Flags(0x04);
    /// The payload is the next payload frame of the message.
    pub const OUT: Flags = Flags(0x08);
    /// The payload consists of the body frames of a classic MDP message.
    pub const RAW: Flags = Flags(0x10);
    /// The payload is compressed.
    pub const COMPRESSED: Flags = Flags(0x20);
    /// The record has a peer's id before the name: the receiver or the sender of a REQUEST, or the worker that answered
    /// with a FINAL.
    pub const PEER: Flags = Flags(0x40);
    /// FINAL: no handler was started for the call, so making it again is safe.
    pub const NOT_STARTED: Flags = Flags(0x80);
    /// REQUEST: the replies come as a stream. DATA and CREDIT: the record belongs to the stream of replies, not of
    /// requests.
    pub const REPLIES: Flags = Flags(0x80);

    /// The flags in a byte on the wire.
    pub const fn from_u8(bits: u8) -> Self {
        Flags(bits)
    }

    /// The byte of these flags on the wire.
    pub const fn as_u8(self) -> u8 {
        self.0
    }

    /// Whether all flags of `other` are set.
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags that are also in `others`.
    pub const fn of(self, others: Flags) -> Flags {
        Flags(self.0 & others.0)
    }

    /// `flag` if `on`, else no flag.
    pub const fn when(flag: Flags, on: bool) -> Flags {
        if on { flag } else { Flags::NONE }
    }
}

impl BitOr for Flags {
    type Output = Flags;

    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}
