//! The unsafe code between Rust and libzmq. This file has the only `unsafe` of the project. It gives libzmq payloads to
//! send without a copy, registers a socket's descriptor with tokio, and adds what the crate `zmq` lacks: three options
//! and the end of a monitor.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;

use bytes::Bytes;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// libzmq's ZMQ_ZAP_ENFORCE_DOMAIN, which `zmq-sys` does not define.
const ZAP_ENFORCE_DOMAIN: c_int = 93;
/// A received frame. Its bytes stay in libzmq's memory.
pub(crate) struct Frame(pub(super) zmq::Message);

impl Frame {
    /// Converts the frame into bytes without a copy.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Converts a received frame into bytes without a copy.
pub(super) fn bytes(message: zmq::Message) -> Bytes {
    Frame(message).into_bytes()
}

/// Data that can be sent without a copy.
///
/// # Safety
///
/// [`bytes`](Self::bytes) must return the same bytes at the same place each time, while the owner lives and is not
/// moved.
pub(super) unsafe trait Owner: Send + 'static {
    fn bytes(&self) -> &[u8];
}

// SAFETY: the bytes are behind a pointer, and cannot be changed.
unsafe impl Owner for Bytes {
    fn bytes(&self) -> &[u8] {
        self
    }
}

/// Bytes, and a value that is dropped with them, after libzmq has written or discarded the bytes.
pub(super) struct With<T>(pub(super) Bytes, pub(super) T);

// SAFETY: as for the `Bytes` in it.
unsafe impl<T: Send + 'static> Owner for With<T> {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Sends `payload` as one frame without a copy: libzmq holds a share of it until the frame is written.
pub(super) fn send_shared<O: Owner>(
    socket: &mut zmq::Socket,
    payload: O,
    flags: c_int,
) -> zmq::Result<()> {
    let share = Box::new(payload);
    let bytes = share.bytes();
    let (data, len) = (bytes.as_ptr().cast_mut().cast::<c_void>(), bytes.len());
    let share = Box::into_raw(share).cast::<c_void>();
    let mut message = zmq_sys::zmq_msg_t::default();
    // SAFETY: `message` is a fresh zmq_msg_t of the right size. `data` points at `len` bytes that live as long as
    // `share` (`Owner`). libzmq passes `share` to `drop_share` exactly once, when it no longer needs the bytes. libzmq
    // only reads the bytes: no code gets a `&mut` to a message that is being sent.
    let made = unsafe {
        zmq_sys::zmq_msg_init_data(&raw mut message, data, len, Some(drop_share::<O>), share)
    };
    if made != 0 {
        // SAFETY: libzmq took nothing over, so `share` still belongs to this function, and it is not used again.
        unsafe { drop_share::<O>(data, share) };
        return Err(last_error());
    }
    loop {
        // SAFETY: `message` was initialised above and not sent yet, and the socket's pointer is valid while the socket,
        // borrowed here, is.
        let sent = unsafe { zmq_sys::zmq_msg_send(&raw mut message, socket.as_mut_ptr(), flags) };
        if sent >= 0 {
            return Ok(());
        }
        let error = last_error();
        if error == zmq::Error::EINTR {
            continue;
        }
        // SAFETY: after a failed send this function still owns the message and may close it, which drops the share.
        unsafe { zmq_sys::zmq_msg_close(&raw mut message) };
        return Err(error);
    }
}

/// libzmq calls this, possibly on another thread, when it no longer needs a shared payload.
unsafe extern "C" fn drop_share<O: Owner>(_data: *mut c_void, share: *mut c_void) {
    // SAFETY: `share` came from `Box::into_raw` of a `Box<O>` in `send_shared`, and this is the
    // only call for it. An `Owner` is `Send`, so dropping it on libzmq's thread is sound.
    drop(unsafe { Box::from_raw(share.cast::<O>()) });
}

/// A socket and its descriptor, which is read once.
pub(super) struct Polled {
    pub(super) socket: zmq::Socket,
    fd: RawFd,
}

impl AsRawFd for Polled {
    fn as_raw_fd(&self) -> RawFd {
        self.fd
    }
}

/// Registers a socket with tokio. Must be called on tokio.
pub(super) fn polled(socket: zmq::Socket) -> zmq::Result<AsyncFd<Polled>> {
    let fd = socket.get_fd()?;
    // SAFETY: the descriptor is open and stays the same while the socket lives (ZMQ_FD), and the
    // socket lives as long as the `AsyncFd`, which owns it and drops its registration first.
    let registered =
        unsafe { AsyncFd::register_with_interest(Polled { socket, fd }, Interest::READABLE) };
    registered.map_err(|_| zmq::Error::EMFILE)
}

/// Sets whether an XPUB refuses a message with EAGAIN if it would not reach all its subscribers (ZMQ_XPUB_NODROP).
pub(super) fn set_xpub_nodrop(socket: &mut zmq::Socket, nodrop: bool) -> zmq::Result<()> {
    set_int(socket, zmq_sys::ZMQ_XPUB_NODROP as c_int, c_int::from(nodrop))
}

/// Makes a CURVE server accept only peers that the ZAP handler allows; without a handler it accepts no peer.
pub(super) fn set_zap_enforce_domain(socket: &mut zmq::Socket) -> zmq::Result<()> {
    set_int(socket, ZAP_ENFORCE_DOMAIN, 1)
}

/// Sets the milliseconds after which a connection ends whose peer acknowledges nothing or has no room (ZMQ_TCP_MAXRT).
pub(super) fn set_tcp_maxrt(socket: &mut zmq::Socket, ms: c_int) -> zmq::Result<()> {
    set_int(socket, zmq_sys::ZMQ_TCP_MAXRT as c_int, ms)
}

fn set_int(socket: &mut zmq::Socket, option: c_int, value: c_int) -> zmq::Result<()> {
    // SAFETY: the socket's pointer is valid while the socket, borrowed here, is. libzmq reads an `int` from `value`,
    // gets its size, and keeps no pointer to it.
    let set = unsafe {
        zmq_sys::zmq_setsockopt(
            socket.as_mut_ptr(),
            option,
            (&raw const value).cast::<c_void>(),
            size_of::<c_int>(),
        )
    };
    if set == 0 { Ok(()) } else { Err(last_error()) }
}

/// Ends the monitor of a socket.
pub(super) fn stop_monitor(socket: &mut zmq::Socket) -> zmq::Result<()> {
    // SAFETY: the socket's pointer is valid while the socket, borrowed here, is. libzmq accepts a null pointer in place
    // of an endpoint; a null pointer ends the monitor.
    let ended = unsafe { zmq_sys::zmq_socket_monitor(socket.as_mut_ptr(), ptr::null(), 0) };
    if ended == 0 { Ok(()) } else { Err(last_error()) }
}

fn last_error() -> zmq::Error {
    // SAFETY: zmq_errno reads a thread-local number and has no preconditions.
    zmq::Error::from_raw(unsafe { zmq_sys::zmq_errno() })
}
