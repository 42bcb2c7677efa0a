//! A closed loop: a number of calls in flight, each in a task of its own that makes one after another.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::{Caller, Load, Times, Window};

pub(super) async fn run(callers: Vec<impl Caller>, load: Load) -> Result<()> {
    let (window, bell) = Window::open(load);
    let callers = callers.iter().cycle().take(load.in_flight);
    let tasks: Vec<_> =
        callers.map(|caller| tokio::spawn(calls(caller.clone(), load, window))).collect();
    let mut all = Times::default();
    for task in tasks {
        all.append(task.await??);
    }
    all.tell(bell)
}

/// One call after another, until the window closes.
async fn calls(caller: impl Caller, load: Load, window: Window) -> Result<Times> {
    let body = load.body();
    let mut times = Times::default();
    let mut sent = Instant::now();
    while window.is_open(sent) {
        let bytes = caller.call(body.clone()).await?;
        ensure!(bytes == load.bytes, "the reply has {bytes} bytes");
        let now = Instant::now();
        times.add(&window, sent, now);
        sent = now;
    }
    Ok(times)
}
