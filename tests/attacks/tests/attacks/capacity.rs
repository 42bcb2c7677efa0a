//! Calls that end long before their handlers, which cannot be stopped.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mdp_runtime::codegen::Service;
use mdp_runtime::{Client, Code, Dialect, Status, Worker, mdp_service};

use crate::cluster::{Job, Target};
use crate::{ms, report, together};

const CAPACITY: u32 = 2;
const CALLS: u64 = 150;
/// How long a handler takes, in milliseconds.
const LONG: u64 = 1_000;
const PATIENCE: Duration = Duration::from_secs(30);

#[mdp_service(package = "attacks.v1")]
trait Slow {
    #[mdp(blocking)]
    fn block(&self, job: Job) -> Result<Job, Status>;
    #[mdp(detach)]
    async fn detach(&self, job: Job) -> Result<Job, Status>;
}

#[mdp_service(package = "attacks.v1")]
trait Other {
    #[mdp(blocking)]
    fn block(&self, job: Job) -> Result<Job, Status>;
}

/// Counts the handlers that run at once.
#[derive(Clone, Default)]
struct Counted(Arc<Counts>);

#[derive(Default)]
struct Counts {
    now: AtomicUsize,
    max: AtomicUsize,
    begun: Mutex<HashSet<u64>>,
}

struct Inside(Arc<Counts>);

impl Counted {
    fn enter(&self, job: &Job) -> Inside {
        let now = self.0.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.max.fetch_max(now, Ordering::SeqCst);
        self.0.begun.lock().unwrap().insert(job.number);
        Inside(Arc::clone(&self.0))
    }

    fn max(&self) -> usize {
        self.0.max.load(Ordering::SeqCst)
    }

    fn has_begun(&self, number: u64) -> bool {
        self.0.begun.lock().unwrap().contains(&number)
    }

    async fn idle(&self) {
        let begun = Instant::now();
        while self.0.now.load(Ordering::SeqCst) > 0 {
            assert!(begun.elapsed() < PATIENCE, "handlers do not end");
            tokio::time::sleep(ms(5)).await;
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Slow for Counted {
    fn block(&self, job: Job) -> Result<Job, Status> {
        let _inside = self.enter(&job);
        std::thread::sleep(ms(job.ms));
        Ok(job)
    }

    async fn detach(&self, job: Job) -> Result<Job, Status> {
        let _inside = self.enter(&job);
        tokio::time::sleep(ms(job.ms)).await;
        Ok(job)
    }
}

impl Other for Counted {
    fn block(&self, job: Job) -> Result<Job, Status> {
        Slow::block(self, job)
    }
}

/// Which method of which service is called.
#[derive(Clone, Copy, Debug)]
enum Method {
    Block,
    Detach,
    Other,
}

async fn ask(client: &Client, method: Method, job: Job, time: Duration) -> Result<Job, Status> {
    match method {
        Method::Block => SlowClient::new(client.clone()).block(job).timeout(time).await,
        Method::Detach => SlowClient::new(client.clone()).detach(job).timeout(time).await,
        Method::Other => OtherClient::new(client.clone()).block(job).timeout(time).await,
    }
}

async fn serve(target: &Target, dialect: Dialect, first: impl Service, other: Counted) -> Worker {
    let worker = Worker::builder().connect(&target.endpoint).dialect(dialect);
    let worker = worker.heartbeat(ms(500)).capacity(CAPACITY).serve(first);
    let worker = worker.capacity(1).serve(OtherWorker::new(other)).start().unwrap();
    tokio::time::timeout(PATIENCE, worker.connected()).await.unwrap().unwrap();
    worker
}

/// Many calls of 10 ms each for a handler that takes a second. Each call has a status that is true.
async fn attack(client: &Client, method: Method, seen: &Counted) -> (usize, usize) {
    let mut calls = Vec::new();
    for number in 1..=CALLS {
        let client = client.clone();
        calls.push(tokio::spawn(async move {
            let job = Job { number, ms: LONG };
            (number, ask(&client, method, job, ms(10)).await)
        }));
        tokio::time::sleep(ms(3)).await;
    }
    let (mut late, mut refused) = (0, 0);
    for call in calls {
        let (number, outcome) = call.await.unwrap();
        let status = outcome.expect_err("a handler of a second in 10 ms");
        match status.code() {
            Code::DeadlineExceeded => late += 1,
            Code::Unavailable | Code::ResourceExhausted => refused += 1,
            code => panic!("{code:?}: {status}"),
        }
        assert!(!(status.not_started() && seen.has_begun(number)), "{number} began: {status}");
    }
    (late, refused)
}

async fn serves(client: &Client, method: Method) {
    for number in 1_000..1_020 {
        let job = Job { number, ms: 0 };
        assert_eq!(ask(client, method, job.clone(), PATIENCE).await.unwrap(), job);
    }
}

async fn keeps_to_its_capacity(dialect: Dialect, method: Method) {
    let _turn = together().await;
    let target = Target::start();
    let (slow, other) = (Counted::default(), Counted::default());
    let _worker = serve(&target, dialect, SlowWorker::new(slow.clone()), other.clone()).await;
    let client = Client::connect(&target.endpoint).await.unwrap();
    let (late, refused) = attack(&client, method, &slow).await;
    // A call that has time gets its turn, though others have come before.
    let patient = ask(&client, method, Job { number: 999, ms: 0 }, PATIENCE).await;
    assert_eq!(patient.unwrap().number, 999);
    slow.idle().await;
    serves(&client, method).await;
    let max = slow.max();
    assert!((1..=CAPACITY as usize).contains(&max), "{max} handlers at once");
    report(&format!(
        "a33: {CALLS} calls of 10 ms, {dialect:?} {method:?}: {late} late, {refused} refused, {max} at once"
    ));
}

/// A33: the thread of a call that has ended keeps its place in the worker's capacity.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a33_handlers_that_block_keep_to_the_capacity() {
    keeps_to_its_capacity(Dialect::Rpc, Method::Block).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a33_handlers_that_detach_keep_to_the_capacity() {
    keeps_to_its_capacity(Dialect::Rpc, Method::Detach).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a33_so_they_do_over_classic_mdp() {
    for dialect in [Dialect::Mdp01, Dialect::Mdp02] {
        for method in [Method::Block, Method::Detach] {
            keeps_to_its_capacity(dialect, method).await;
        }
    }
}

/// Two services of a worker, one of them attacked: each has a capacity of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a33_another_service_of_the_worker_has_its_own_capacity() {
    let _turn = together().await;
    let target = Target::start();
    let (slow, other) = (Counted::default(), Counted::default());
    let _worker = serve(&target, Dialect::Rpc, SlowWorker::new(slow.clone()), other.clone()).await;
    let client = Client::connect(&target.endpoint).await.unwrap();
    let beside = Client::connect(&target.endpoint).await.unwrap();
    tokio::join!(attack(&client, Method::Block, &slow), serves(&beside, Method::Other));
    assert!(slow.max() <= CAPACITY as usize, "{} handlers at once", slow.max());
    // And now the other one.
    attack(&client, Method::Other, &other).await;
    assert_eq!(other.max(), 1);
    slow.idle().await;
    serves(&beside, Method::Block).await;
}
