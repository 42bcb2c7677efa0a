//! Carries the OpenTelemetry context of a call into another task or thread. Without the feature `opentelemetry` this
//! does nothing and costs nothing.

#[cfg(feature = "opentelemetry")]
mod on {
    use std::future::Future;

    use opentelemetry::trace::FutureExt;
    use opentelemetry::{Context, ContextGuard};

    pub(crate) use crate::otel::attempt;

    /// Returns the future with the current context, which then applies wherever the future is polled.
    pub(crate) fn with_context<F: Future>(future: F) -> impl Future<Output = F::Output> + use<F> {
        future.with_current_context()
    }

    /// The context of one thread, to be used on another thread.
    pub(crate) struct TraceContext(Context);

    pub(crate) fn current() -> TraceContext {
        TraceContext(Context::current())
    }

    impl TraceContext {
        /// Makes this the context of the current thread until the guard is dropped.
        pub(crate) fn enter(self) -> ContextGuard {
            self.0.attach()
        }
    }
}

#[cfg(not(feature = "opentelemetry"))]
mod on {
    pub(crate) fn with_context<F: Future>(future: F) -> F {
        future
    }

    pub(crate) struct TraceContext;

    pub(crate) fn current() -> TraceContext {
        TraceContext
    }

    impl TraceContext {
        pub(crate) fn enter(self) {}
    }

    pub(crate) fn attempt(_: u8) {}
}

pub(crate) use on::{attempt, current, with_context};
