//! The end of a connection: what waits is written, then the connection is closed so that nothing of it is lost.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::task::Poll;
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::runtime::Handle;

use super::stream::Stream;
use super::wire::Wire;

/// The time in which a closed socket may continue to write, and the other side may read.
const LINGER: Duration = Duration::from_secs(1);

/// A socket that will be closed. If it is dropped instead, it continues to write its messages in the background, if the
/// thread belongs to a tokio runtime.
pub(crate) struct Closing(Option<(Stream, Wire)>);

impl Closing {
    pub(super) fn of(stream: Stream, wire: Wire) -> Self {
        Closing(Some((stream, wire)))
    }

    /// There is nothing to close.
    pub(super) fn done() -> Self {
        Closing(None)
    }

    /// Closes the socket, and waits until the other side has read its messages, but not longer than the linger time.
    pub(crate) async fn close(mut self) {
        if let Some((stream, wire)) = self.0.take() {
            linger(stream, wire).await;
        }
    }

    /// Closes the socket at once and drops its messages.
    pub(crate) fn discard(mut self) {
        self.0 = None;
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        let Some((stream, wire)) = self.0.take() else { return };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(linger(stream, wire));
        }
    }
}

async fn linger(stream: Stream, wire: Wire) {
    // After that time the other side has to do without the rest.
    let _ = tokio::time::timeout(LINGER, finish(stream, wire)).await;
}

async fn finish(mut stream: Stream, mut wire: Wire) {
    if wire.write_all(&stream).await.is_err() {
        return;
    }
    // A connection that is closed with input that was not read is reset, and the other side may lose what it has not
    // read. So the input is read up to its end.
    stream.end_writing();
    let mut scratch = [0; 4_096];
    loop {
        let read = poll_fn(|cx| {
            let mut buffer = ReadBuf::new(&mut scratch);
            match stream.poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) => Poll::Ready(Ok(buffer.filled().len())),
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => Poll::Pending,
            }
        });
        match read.await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
