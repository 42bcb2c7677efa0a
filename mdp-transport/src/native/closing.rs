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

/// A socket that will be closed, by its connections. If it is dropped instead, it continues to write its messages in the
/// background, if the thread belongs to a tokio runtime.
pub(crate) struct Closing(Vec<(Stream, Wire)>);

impl Closing {
    pub(super) fn of(connections: Vec<(Stream, Wire)>) -> Self {
        Closing(connections)
    }

    /// Closes the socket, and waits until the other sides have read its messages, but not longer than the linger time.
    pub(crate) async fn close(mut self) {
        linger(std::mem::take(&mut self.0)).await;
    }

    /// Closes the socket at once and drops its messages.
    pub(crate) fn discard(mut self) {
        self.0.clear();
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        if self.0.is_empty() {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(linger(std::mem::take(&mut self.0)));
        }
    }
}

async fn linger(connections: Vec<(Stream, Wire)>) {
    let all = connections.into_iter().map(|(stream, wire)| Box::pin(finish(stream, wire)));
    let mut all: Vec<_> = all.collect();
    let ended = poll_fn(|cx| {
        all.retain_mut(|one| one.as_mut().poll(cx).is_pending());
        if all.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    });
    // After that time the other sides have to do without the rest.
    let _ = tokio::time::timeout(LINGER, ended).await;
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
