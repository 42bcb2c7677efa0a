//! The OpenTelemetry context of whoever makes a call, where the call goes on in a task or on a thread of its own. Nothing, and
//! at no cost, without the feature `opentelemetry`.

#[cfg(feature = "opentelemetry")]
mod on {
    use std::future::Future;

    use opentelemetry::trace::FutureExt;
    use opentelemetry::{Context, ContextGuard};

    pub(crate) use crate::otel::attempt;

    /// The same future, with what is the context now as its context wherever it is polled.
    pub(crate) fn with_context<F: Future>(future: F) -> impl Future<Output = F::Output> + use<F> {
        future.with_current_context()
    }

    /// The context of this thread, for another one.
    pub(crate) struct Carried(Context);

    pub(crate) fn current() -> Carried {
        Carried(Context::current())
    }

    impl Carried {
        /// The context is that of this thread until what it gives is dropped.
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

    pub(crate) struct Carried;

    pub(crate) fn current() -> Carried {
        Carried
    }

    impl Carried {
        pub(crate) fn enter(self) {}
    }

    pub(crate) fn attempt(_: u8) {}
}

pub(crate) use on::{attempt, current, with_context};
