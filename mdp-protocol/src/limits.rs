//! Every bound that keeps a broker's memory finite, and the name of each.

use crate::codes::code_table;

/// The limits of the data that a broker accepts; a few also hold for peers. Each overflow gives an error that names the
/// limit; no data is dropped without a report.
///
/// ```
/// use mdp_protocol::Limits;
/// let limits = Limits { queued_calls_per_service: 100, ..Limits::default() };
/// assert_eq!(limits.frame_bytes, 4 * 1024 * 1024);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in one frame: a packet, or a payload in a frame of its own. Default: 4 MiB. The transport ends the
    /// connection of a longer frame. Peers of this toolkit refuse it before they send it.
    pub frame_bytes: usize,
    /// Frames in one message, the packet included. Default: 32.
    pub frames: usize,
    /// Records in one packet. Default: 1,024.
    pub records: usize,
    /// Sessions at once, clients and workers together. Default: 65,536.
    pub sessions: usize,
    /// Services that have a worker. Default: 1,024.
    pub services: usize,
    /// Names of services without a worker for which calls wait. Default: 128.
    pub unserved_services: usize,
    /// Services that one worker's connection may offer. Default: 256.
    pub services_per_worker: usize,
    /// Services that all workers' connections offer together, each counted for each connection. Lists and reports visit
    /// each of them. Default: 65,536.
    pub registrations: usize,
    /// Calls that wait for a worker of one service. Default: 10,000.
    pub queued_calls_per_service: usize,
    /// Bytes of calls that wait for a worker of one service. Default: 64 MiB.
    pub queued_bytes_per_service: usize,
    /// Bytes of calls that the broker holds, waiting or kept for another attempt. Default: 256 MiB.
    pub held_bytes: usize,
    /// Bytes of messages that are not complete, of all connections together. The first 64 KiB of each do not count.
    /// Default: 256 MiB. Beyond it a native broker reads these connections one after another, in the order in which their
    /// messages began. One that brings less than 32 KiB in 2 s meanwhile ends. Over libzmq there is no such limit.
    pub incomplete_bytes: usize,
    /// Bytes on their way to one connection that its peer has not read: data that the broker has given to the transport
    /// and that is not written yet, the broker's own answers included. Default: 32 MiB. A session that would exceed
    /// this ends.
    pub unread_bytes_per_session: usize,
    /// Unread bytes of all connections together. Default: 128 MiB. See [`unread_share`](Self::unread_share) for the
    /// share of each. Small messages and REQUESTs may use an eighth more.
    pub unread_bytes: usize,
    /// Calls of one client, waiting and running. Default: 10,000.
    pub calls_per_client: usize,
    /// Calls of all clients, waiting and running. Default: 1,000,000.
    pub calls: usize,
    /// Calls at once that one worker may offer for one service. Default: 65,535.
    pub capacity: u32,
    /// Methods of all services that have counters of their own; the same number holds for services. Calls of further
    /// methods count only for their service, or for the broker as a whole. Default: 4,096.
    pub methods: usize,
    /// Units of credit that one side of a stream may give the other at once, each for an item of up to
    /// 256 bytes; see [`units`](crate::wire::units). Credit beyond it is not passed on. Default: 16,384.
    /// Must be at least 16: with less a stream can stop, because receivers keep a few units back (`wire.md` R71). The
    /// broker of `mdp-runtime` raises a smaller value to 16.
    pub window: u32,
    /// Contracts of services that the broker keeps after a peer has asked for them. Beyond this number it drops the
    /// least recently used one. Default: 256.
    pub schemas: usize,
    /// Bytes of these contracts together. A contract that is longer is passed on and not kept. Default: 16 MiB.
    pub schema_bytes: usize,
    /// How often a call is given to a worker before the broker gives up. Default: 3.
    pub attempts: u8,
    /// How often the broker takes slots back from a worker that answers no call in between. At the last time the worker
    /// gets DISCONNECT, and its other calls move or end. Several slots within the time of one overrun count once.
    /// Default: 3.
    pub unanswered: u8,
}

/// The most frames that stand before the body of a classic message.
const CLASSIC_HEADS: usize = 5;

const UNREAD_SMALL: usize = 64 << 10;

impl Limits {
    /// Frames in the body of a classic message, and in a raw payload: five fewer than [`frames`](Self::frames), so that
    /// the message is within that limit in each dialect and direction.
    pub const fn body_frames(&self) -> usize {
        self.frames.saturating_sub(CLASSIC_HEADS)
    }

    /// The most unread bytes that one connection may have while all connections together have `all` unread bytes: half
    /// of the rest of three quarters of [`unread_bytes`](Self::unread_bytes), at most
    /// [`unread_bytes_per_session`](Self::unread_bytes_per_session), and at least [`unread_small`](Self::unread_small).
    /// The last quarter is for connections that have read their data.
    pub fn unread_share(&self, all: usize) -> usize {
        let left = (self.unread_bytes / 4 * 3).saturating_sub(all);
        (left / 2).min(self.unread_bytes_per_session).max(self.unread_small())
    }

    /// A connection with at most this many unread bytes counts as one that reads. Default: 64 KiB.
    pub fn unread_small(&self) -> usize {
        UNREAD_SMALL.min(self.unread_bytes_per_session / 2)
    }

    /// With more unread bytes than this a connection gets no further REQUEST, and its own REQUESTs are refused: half of
    /// its [share](Self::unread_share).
    pub fn unread_mark(&self, all: usize) -> usize {
        (self.unread_share(all) / 2).max(self.unread_small())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            frame_bytes: 4 << 20,
            frames: 32,
            records: 1_024,
            sessions: 65_536,
            services: 1_024,
            unserved_services: 128,
            services_per_worker: 256,
            registrations: 65_536,
            queued_calls_per_service: 10_000,
            queued_bytes_per_service: 64 << 20,
            held_bytes: 256 << 20,
            incomplete_bytes: 256 << 20,
            unread_bytes_per_session: 32 << 20,
            unread_bytes: 128 << 20,
            calls_per_client: 10_000,
            calls: 1_000_000,
            capacity: 65_535,
            methods: 4_096,
            window: 16_384,
            schemas: 256,
            schema_bytes: 16 << 20,
            attempts: 3,
            unanswered: 3,
        }
    }
}

code_table! {
    /// The limit that a request, a registration or a message exceeded.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Limit {
        FrameBytes "frame_bytes" "[`Limits::frame_bytes`]."
        Frames "frames" "[`Limits::frames`]."
        Records "records" "[`Limits::records`]."
        Sessions "sessions" "[`Limits::sessions`]."
        Services "services" "[`Limits::services`]."
        UnservedServices "unserved_services" "[`Limits::unserved_services`]."
        ServicesPerWorker "services_per_worker" "[`Limits::services_per_worker`]."
        Registrations "registrations" "[`Limits::registrations`]."
        QueuedCallsPerService "queued_calls_per_service" "[`Limits::queued_calls_per_service`]."
        QueuedBytesPerService "queued_bytes_per_service" "[`Limits::queued_bytes_per_service`]."
        HeldBytes "held_bytes" "[`Limits::held_bytes`]."
        UnreadBytesPerSession "unread_bytes_per_session" "[`Limits::unread_bytes_per_session`]."
        UnreadBytes "unread_bytes" "[`Limits::unread_bytes`]."
        CallsPerClient "calls_per_client" "[`Limits::calls_per_client`]."
        Calls "calls" "[`Limits::calls`]."
        Capacity "capacity" "[`Limits::capacity`]."
    }
    name: "The field of [`Limits`], which is also its name in messages and in metrics."
}
