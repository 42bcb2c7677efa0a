//! The layer of `tracing`'s: turns events into records and puts them into the buffer, and never waits for more than that.

use std::cell::Cell;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mdp_runtime::{ClientBuilder, ConnectError};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::buffer::Bounds;
use crate::fields::Fields;
use crate::pb;
use crate::shipper::Shipper;

/// The most bytes of an event's message and fields; what is longer is cut off.
pub const EVENT_BYTES: usize = 16 * 1024;
/// The most bytes of a span's fields.
pub const SPAN_BYTES: usize = 2 * 1024;
/// The most spans around an event that are told, the innermost ones.
pub const SPANS: usize = 16;

/// How long a dropped [`Guard`] waits for what is not stored yet.
const GRACE: Duration = Duration::from_secs(5);

thread_local! {
    static SHIPPING: Cell<bool> = const { Cell::new(false) };
}

/// From now on no event of this thread is shipped: what ships must not log about it into itself.
pub(crate) fn this_thread_ships() {
    SHIPPING.set(true);
}

/// Settings of a [`CloudLayer`].
///
/// ```no_run
/// use example_cloud_logger::CloudLogger;
/// use mdp_runtime::Client;
/// use tracing_subscriber::prelude::*;
///
/// let broker = Client::builder().connect("tcp://127.0.0.1:5557");
/// let (layer, guard) = CloudLogger::new("orders").start(broker)?;
/// tracing_subscriber::registry().with(layer).init();
/// tracing::info!(order = 7, "placed");
/// guard.shutdown(std::time::Duration::from_secs(5))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct CloudLogger {
    name: String,
    bounds: Bounds,
}

/// Why a logger cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The client's settings are wrong. That a broker is away is no error.
    #[error("the logger cannot connect: check the broker's endpoint and keys")]
    Connect(#[from] ConnectError),
    /// It has no thread of its own.
    #[error("the logger's thread cannot be started")]
    Thread(#[from] io::Error),
}

/// Not everything was stored in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{events} events were not acknowledged by the logger in time, and {dropped} were dropped without a record of it; \
     is the broker there?"
)]
pub struct NotShipped {
    /// Events that were logged and not acknowledged. A batch of them may have been stored all the same.
    pub events: usize,
    /// Events that were dropped, and whose number could not be told either.
    pub dropped: u64,
}

impl CloudLogger {
    /// For a program of this name.
    pub fn new(name: impl Into<String>) -> Self {
        CloudLogger { name: name.into(), bounds: Bounds::default() }
    }

    /// How much may wait while the broker is away. 10,000 events and 8 MiB. See [`Buffer`](crate::buffer::Buffer) for what
    /// goes when that is not enough.
    pub fn bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// Starts a thread that ships, and gives the layer and what ends it. The broker need not be there yet.
    ///
    /// # Errors
    ///
    /// The client's settings are wrong, or there is no thread for it.
    pub fn start(self, broker: ClientBuilder) -> Result<(CloudLayer, Guard), StartError> {
        let shipper = Arc::new(Shipper::start(self.name, self.bounds, broker)?);
        Ok((CloudLayer { shipper: Arc::clone(&shipper) }, Guard { shipper, over: false }))
    }
}

/// Ships all events and the spans around them; put a filter of `tracing_subscriber`'s on it to have fewer. It never waits: when
/// the broker is away its [buffer](crate::buffer::Buffer) fills, and then drops and counts.
#[derive(Debug)]
pub struct CloudLayer {
    shipper: Arc<Shipper>,
}

/// Ends the shipping. Dropped, it waits up to 5 s for what is not stored yet, and says on standard error what is left.
#[derive(Debug)]
#[must_use = "dropped at once, it ends the shipping at once"]
pub struct Guard {
    shipper: Arc<Shipper>,
    over: bool,
}

impl Guard {
    /// Waits until all that was logged before is stored. It blocks the thread.
    ///
    /// # Errors
    ///
    /// It took longer than `within`; it is shipped all the same when that is possible again.
    pub fn flush(&self, within: Duration) -> Result<(), NotShipped> {
        self.shipper.flush(within)
    }

    /// Waits until all that was logged is stored, and ends the shipping. It blocks the thread. What is logged afterwards
    /// goes nowhere.
    ///
    /// # Errors
    ///
    /// It took longer than `within`; the rest is lost.
    pub fn shutdown(mut self, within: Duration) -> Result<(), NotShipped> {
        self.over = true;
        self.shipper.shutdown(within)
    }

    /// How many events wait to be stored, and their bytes, roughly.
    pub fn waiting(&self) -> (usize, usize) {
        self.shipper.waiting()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        if let Err(left) = self.shipper.shutdown(GRACE) {
            // No `eprintln`: it panics where nobody reads the program's standard error any more.
            let _ = writeln!(io::stderr(), "cloud logger: {left}");
        }
    }
}

/// A span as events tell it.
struct Known {
    fields: Vec<pb::Field>,
}

impl<S> Layer<S> for CloudLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        let Some(span) = cx.span(id) else { return };
        // A value may log while it is asked what it is, so nothing is locked meanwhile.
        let mut fields = Fields::new(SPAN_BYTES);
        attributes.record(&mut fields);
        span.extensions_mut().insert(Known { fields: fields.all() });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, cx: Context<'_, S>) {
        let Some(span) = cx.span(id) else { return };
        let mut fields = Fields::new(SPAN_BYTES);
        values.record(&mut fields);
        if let Some(known) = span.extensions_mut().get_mut::<Known>() {
            known.update(fields.all());
        }
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        if SHIPPING.get() {
            return;
        }
        let metadata = event.metadata();
        let mut fields = Fields::new(EVENT_BYTES);
        event.record(&mut fields);
        self.shipper.push(pb::Event {
            time: micros(SystemTime::now()),
            level: level(*metadata.level()).into(),
            target: metadata.target().to_owned(),
            message: fields.message,
            fields: fields.fields,
            spans: spans_around(event, &cx),
            dropped: 0,
        });
    }
}

impl Known {
    /// A field has the value that it was given last. Together they stay within bounds.
    fn update(&mut self, new: Vec<pb::Field>) {
        for field in new {
            self.fields.retain(|known| known.name != field.name);
            self.fields.push(field);
        }
        let mut room = SPAN_BYTES;
        self.fields.retain(|field| {
            let fits = room.checked_sub(field.name.len() + field.value.len());
            room = fits.unwrap_or(room);
            fits.is_some()
        });
    }
}

fn spans_around<S>(event: &Event<'_>, cx: &Context<'_, S>) -> Vec<pb::Span>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let Some(scope) = cx.event_scope(event) else { return Vec::new() };
    let mut spans: Vec<_> = scope
        .take(SPANS)
        .map(|span| {
            let fields = span.extensions().get::<Known>().map(|known| known.fields.clone());
            pb::Span { name: span.name().to_owned(), fields: fields.unwrap_or_default() }
        })
        .collect();
    spans.reverse();
    spans
}

/// Microseconds since 1970. A clock that stands before it gives 0.
pub(crate) fn micros(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

fn level(level: Level) -> pb::Level {
    match level {
        Level::ERROR => pb::Level::Error,
        Level::WARN => pb::Level::Warn,
        Level::INFO => pb::Level::Info,
        Level::DEBUG => pb::Level::Debug,
        Level::TRACE => pb::Level::Trace,
    }
}
