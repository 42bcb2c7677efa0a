//! `mdp top`: shows a broker's activity live.

mod rates;
mod view;

use std::io::{self, IsTerminal, stdout};
use std::time::Duration;

use anyhow::anyhow;
use mdp_runtime::ends;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::Failure;
use crate::args::seconds;
use crate::connect::ConnectArgs;
use crate::management::{AskError, Management};
use crate::stop::Stop;
use rates::Sample;
use view::View;

/// The minimum interval between samples. A sample needs four lists, and the broker allows 50 lists in a second.
const SHORTEST: Duration = Duration::from_millis(200);

/// Shows services, their workers and their methods, with calls per second, errors and times, until `q`.
///
/// Up and down select a service. Tab switches between workers and methods.
#[derive(Debug, clap::Args)]
pub(crate) struct TopArgs {
    /// The time between two questions to the broker in seconds, at least 0.2.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    interval: Duration,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(crate) async fn run(args: &TopArgs) -> Result<u8, Failure> {
    if args.interval < SHORTEST {
        return Err(Failure::wrong(anyhow!("--interval must be at least 0.2 s")));
    }
    if !stdout().is_terminal() {
        let hint = "`mdp list` and `mdp stats` print the same, also as JSON";
        return Err(Failure::wrong(anyhow!(
            "top needs a terminal, and standard output is not one; {hint}"
        )));
    }
    let mut stop = Stop::listen_and_end().map_err(Failure::failed)?;
    let broker = Management::open(&args.connect).await?;
    let mut terminal = ratatui::try_init().map_err(Failure::failed)?;
    let ended = follow(args, &broker, &mut stop, &mut terminal).await;
    // The terminal is restored before an error is printed.
    ratatui::restore();
    ended.map(|()| 0)
}

async fn follow(
    args: &TopArgs,
    broker: &Management,
    stop: &mut Stop,
    terminal: &mut DefaultTerminal,
) -> Result<(), Failure> {
    let mut events = events().map_err(Failure::failed)?;
    let mut ticks = tokio::time::interval(args.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut view = View::default();
    loop {
        tokio::select! {
            () = stop.asked() => return Ok(()),
            event = events.recv() => match event {
                Some(Event::Key(key)) if key.kind == KeyEventKind::Press => {
                    if !pressed(&mut view, key) {
                        return Ok(());
                    }
                }
                Some(_) => {}
                None => return Err(Failure::failed(anyhow!("the terminal cannot be read"))),
            },
            _ = ticks.tick() => match look(broker).await {
                Ok(sample) => view.take(sample),
                // The next sample comes soon enough.
                Err(AskError::Busy { .. }) => {}
                Err(AskError::NoAnswer { .. }) => view.lost = true,
                Err(error) => return Err(Failure::failed(error)),
            },
        }
        terminal.draw(|frame| view.draw(frame)).map_err(Failure::failed)?;
    }
}

/// Handles a key. `false`: the program ends.
fn pressed(view: &mut View, key: KeyEvent) -> bool {
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return false,
        // In raw mode the terminal passes Ctrl-C on as a key.
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return false,
        KeyCode::Up | KeyCode::Char('k') => view.choose(-1),
        KeyCode::Down | KeyCode::Char('j') => view.choose(1),
        KeyCode::Tab => view.turn(),
        _ => {}
    }
    true
}

async fn look(broker: &Management) -> Result<Sample, AskError> {
    let (services, workers) = (broker.services().await?, broker.workers("").await?);
    let (methods, counters) = (broker.methods("").await?, broker.counters().await?);
    Ok(Sample::new(services, workers, methods, counters))
}

/// Reads terminal events on a separate thread, because reading blocks. The thread ends with the program.
fn events() -> io::Result<mpsc::UnboundedReceiver<Event>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let read = move || {
        while let Ok(event) = event::read() {
            if sender.send(event).is_err() {
                break;
            }
        }
    };
    // When the thread ends for any reason, the sender is dropped, so the receiver notices it.
    ends::thread("mdp-top", read, drop)?;
    Ok(receiver)
}
