//! The bounds of what a peer may make a connection hold.

/// The limits of one connection. Each is checked when a header comes, before its body is stored; what exceeds it ends
/// the connection with an error that names the limit.
///
/// ```
/// use mdp_zmtp::Limits;
///
/// let limits = Limits { frame_bytes: 64 << 20, message_bytes: 64 << 20, ..Limits::default() };
/// assert_eq!(limits.message_frames, 32);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time from the connection's start to its READY. Default: 2,000 ms.
    pub handshake_ms: u64,
    /// Bytes of all commands of the handshake together, the greeting aside. Default: 8 KiB.
    pub handshake_bytes: usize,
    /// Bytes of one command, in the handshake and after it. Default: 4 KiB.
    pub command_bytes: usize,
    /// Bytes of one frame's body, as the receiver gets it: what CURVE adds does not count. Default: 4 MiB.
    pub frame_bytes: usize,
    /// Frames of one message. Default: 32.
    pub message_frames: usize,
    /// Bytes of all frames of one message together. Default: 8 MiB.
    pub message_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            handshake_ms: 2_000,
            handshake_bytes: 8 << 10,
            command_bytes: 4 << 10,
            frame_bytes: 4 << 20,
            message_frames: 32,
            message_bytes: 8 << 20,
        }
    }
}
