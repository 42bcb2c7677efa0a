//! `mdp drain`: ends workers or the broker.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use mdp_runtime::{ConnectionState, LossCause};
use serde_json::json;

use crate::Failure;
use crate::args::{Output, seconds};
use crate::connect::ConnectArgs;
use crate::management::{AskError, Management};

/// The time between two checks whether they have left.
const LOOK: Duration = Duration::from_millis(200);

/// Ends workers or the broker without losing calls: they accept no new calls, finish the running ones, and leave.
///
/// The command waits until they have left. The broker must allow it, with --allow-drain or by its policy. The exit code
/// is 1 if there is no such worker or service, if the broker does not allow it, or if not all have left in time.
#[derive(Debug, clap::Args)]
pub(crate) struct DrainArgs {
    /// A worker's id, a service for all of its workers, or `broker` for the broker itself.
    #[arg(value_name = "WORKER|SERVICE|broker")]
    whom: String,
    /// The kind of the name. Default: the program finds it out.
    #[arg(long = "as", value_enum, value_name = "KIND")]
    kind: Option<Kind>,
    /// The time in seconds to wait until they have left. 0 does not wait.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    wait: Duration,
    /// The format of the output.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// One worker.
    Worker,
    /// All workers of a service.
    Service,
    /// The broker.
    Broker,
}

pub(crate) async fn run(args: &DrainArgs) -> Result<u8, Failure> {
    let several = args.connect.connection()?.endpoints.len() > 1;
    if several && args.is_about_broker() {
        return Err(Failure::wrong(anyhow!("name the broker to end: give one --endpoint")));
    }
    let broker = Management::open(&args.connect).await?;
    let (kind, workers) = begin(args, &broker).await.map_err(Failure::failed)?;
    let done = match kind {
        Kind::Broker => wait_for_broker(args, &broker).await,
        _ => wait_for_workers(args, &broker, kind).await.map_err(Failure::failed)?,
    };
    let left = args.wait.is_zero() || done;
    let text = match args.output {
        Output::Json => {
            let (kind, whom) = (format!("{kind:?}").to_lowercase(), &args.whom);
            json!({ "kind": kind, "whom": whom, "workers": workers, "left": done }).to_string()
        }
        Output::Text => in_words(args, kind, workers, done),
    };
    crate::print(&(text + "\n")).map_err(Failure::failed)?;
    Ok(u8::from(!left))
}

impl DrainArgs {
    fn is_about_broker(&self) -> bool {
        self.kind.map_or(self.whom == "broker", |kind| kind == Kind::Broker)
    }
}

fn in_words(args: &DrainArgs, kind: Kind, workers: u64, done: bool) -> String {
    let who = match kind {
        Kind::Broker => "the broker".to_owned(),
        Kind::Worker => format!("worker {}", args.whom),
        Kind::Service => format!("{workers} workers of {}", args.whom),
    };
    match done {
        true => format!("{who}: left"),
        false if args.wait.is_zero() => format!("{who}: draining"),
        false => {
            format!("{who}: still draining after {:?}; some calls have not ended", args.wait)
        }
    }
}

/// Asks the broker to end them: of the given kind, or of the kind that the name belongs to.
async fn begin(args: &DrainArgs, broker: &Management) -> anyhow::Result<(Kind, u64)> {
    let whom = args.whom.as_str();
    let kinds = match args.kind {
        Some(kind) => vec![kind],
        None if args.is_about_broker() => vec![Kind::Broker],
        None => vec![Kind::Worker, Kind::Service],
    };
    for kind in kinds {
        let service = match kind {
            Kind::Worker => "mmi.drain.worker",
            Kind::Service => "mmi.drain.service",
            Kind::Broker => "mmi.drain.broker",
        };
        match broker.drain(service, whom).await {
            Err(AskError::Unknown { .. }) => {}
            drained => return Ok((kind, drained?)),
        }
    }
    Err(anyhow!("there is neither a worker nor a service with workers that is called `{whom}`"))
}

/// Waits for the workers. Returns whether all have left in time.
async fn wait_for_workers(
    args: &DrainArgs,
    broker: &Management,
    kind: Kind,
) -> Result<bool, AskError> {
    let end = Instant::now() + args.wait;
    while Instant::now() < end {
        let about = if kind == Kind::Service { args.whom.as_str() } else { "" };
        let list = match broker.workers(about).await {
            // The broker does not know the name any more: no worker is left.
            Err(AskError::Unknown { .. }) => return Ok(true),
            Err(AskError::Busy { .. }) => None,
            list => Some(list?),
        };
        // New workers may have joined meanwhile. Only draining workers count.
        let stays = |list: Vec<crate::management::WorkerLine>| {
            list.iter().any(|line| line.draining && (kind == Kind::Service || line.id == args.whom))
        };
        if list.is_some_and(|list| !stays(list)) {
            return Ok(true);
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(false)
}

/// Waits for the broker. Returns whether it has left in time. While it drains, it refuses new sessions. After that, no
/// broker answers, or another one does.
async fn wait_for_broker(args: &DrainArgs, broker: &Management) -> bool {
    let mut state = broker.client.state();
    let gone = async {
        let left = |state: &ConnectionState| !matches!(state, ConnectionState::Connected { .. });
        // An error would mean that the client is gone, but this function holds the client.
        let _ = state.wait_for(left).await;
        let over = |state: &ConnectionState| match state {
            ConnectionState::Disconnected(LossCause::Said(_) | LossCause::Drained) => false,
            ConnectionState::Disconnected(_) | ConnectionState::Connected { .. } => true,
            _ => false,
        };
        let _ = state.wait_for(over).await;
    };
    tokio::time::timeout(args.wait, gone).await.is_ok()
}
