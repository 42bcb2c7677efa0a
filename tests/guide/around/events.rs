use mdp_runtime::patterns::{Publisher, Subscriber};
use mdp_runtime::{Broadcaster, Client, MdpRecord, Status, Worker, mdp_service};

use crate::Ran;

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Job {
    #[mdp(1)]
    steps: u32,
}

#[mdp_service(package = "jobs.v1")]
pub trait Jobs {
    async fn begin(&self, req: Job) -> Result<Job, Status>;
    async fn next(&self, req: Job) -> Result<Job, Status>;
}

struct Bench;

impl Jobs for Bench {
    async fn begin(&self, req: Job) -> Result<Job, Status> {
        Ok(req)
    }

    async fn next(&self, req: Job) -> Result<Job, Status> {
        Ok(Job { steps: req.steps + 1 })
    }
}

#[tokio::test]
async fn a_call_comes_back_to_its_worker() -> Ran {
    let (_broker, endpoint) = crate::auth::broker()?;
    let _worker = Worker::builder().connect(&endpoint).serve(JobsWorker::new(Bench)).start()?;
    let jobs = JobsClient::new(Client::connect(&endpoint).await?);
    let (req, more) = (Job { steps: 0 }, Job { steps: 0 });
    // block
    assert_eq!(next?.steps, 1);
    Ok(())
}

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Event {
    #[mdp(1)]
    celsius: f64,
}

async fn published(broadcaster: &Broadcaster<Event>, event: Event) -> Ran {
    // with .bind("tcp://127.0.0.1:5556") as .bind("tcp://127.0.0.1:*")
    // with .connect("tcp://127.0.0.1:5556") as .connect(&news.endpoints()[0])
    // block
    Ok(())
}

#[tokio::test]
async fn what_is_published_reaches_the_subscribers_of_a_worker() -> Ran {
    let broadcaster = Broadcaster::new(64);
    let mut seen = broadcaster.subscribe();
    let event = Event { celsius: 21.5 };
    tokio::select! {
        ended = published(&broadcaster, event.clone()) => ended?,
        came = crate::soon(crate::next(&mut seen)) => assert_eq!(came.ok_or("it ended")??, event),
    }
    Ok(())
}
