//! All parts in one process, chapter by chapter; each checks itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use example_cloud_logger::buffer::Bounds;
use example_cloud_logger::follow::{Follow, Seen};
use example_cloud_logger::pb::view_client::ViewClient;
use example_cloud_logger::pb::{Filter, Level, QueryRequest, Record};
use example_cloud_logger::service::Logger;
use example_cloud_logger::terminal::line;
use example_cloud_logger::{CloudLogger, Guard, parts, web};
use mdp_runtime::{Broker, Client, Worker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tracing::Dispatch;
use tracing_subscriber::prelude::*;

use crate::app::event;

const GRACE: Duration = Duration::from_secs(5);
/// What a chapter waits for comes much sooner, or never.
const DEADLINE: Duration = Duration::from_secs(30);
const KEEP: u64 = 100_000;

pub(crate) async fn run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut stage = Stage::build(folder.path())?;
    let mut follow = Follow::new(&stage.client, Filter::default(), 0);
    wait_until_it_follows(&mut follow).await?;

    watch_three_programs(&stage, &mut follow).await?;
    filter(&stage).await?;
    lose_nothing(&mut stage, &mut follow).await?;
    stay_bounded(&mut stage, &mut follow).await?;
    be_attacked(&stage, &mut follow).await?;
    browse(&stage).await?;
    be_told(folder.path()).await?;

    let Stage { broker, worker, logger, .. } = stage;
    logger.close();
    worker.shutdown(GRACE).await;
    broker.context("the broker is away")?.shutdown(GRACE).await;
    println!("all went as expected");
    Ok(())
}

/// The broker, the logger worker and the viewers' client.
struct Stage {
    endpoint: String,
    broker: Option<Broker>,
    worker: Worker,
    logger: Logger,
    client: Client,
}

impl Stage {
    fn build(folder: &Path) -> Result<Self> {
        let endpoint = format!("ipc://{}", folder.join("broker").display());
        let broker = parts::broker(&endpoint)?;
        let database = folder.join("log.db");
        let (worker, logger) = parts::logger(&endpoint, "logger-1", &database, KEEP)?;
        let worker = worker.start()?;
        let client = parts::client(&endpoint).open_lazy()?;
        println!("a broker, a logger worker and a viewer are there");
        Ok(Stage { endpoint, broker: Some(broker), worker, logger, client })
    }

    fn start_broker(&mut self) -> Result<()> {
        self.broker = Some(parts::broker(&self.endpoint)?);
        Ok(())
    }

    async fn stop_broker(&mut self) -> Result<()> {
        let broker = self.broker.take().context("the broker is away already")?;
        broker.shutdown(Duration::ZERO).await;
        Ok(())
    }
}

/// A program that logs. In earnest each is a process, and its subscriber the default of the process.
struct Program {
    dispatch: Dispatch,
    guard: Guard,
}

impl Program {
    fn start(name: &str, bounds: Bounds, endpoint: &str) -> Result<Self> {
        let (layer, guard) =
            CloudLogger::new(name).bounds(bounds).start(parts::client(endpoint))?;
        Ok(Program { dispatch: tracing_subscriber::registry().with(layer).into(), guard })
    }

    fn logs<T>(&self, what: impl FnOnce() -> T) -> T {
        tracing::dispatcher::with_default(&self.dispatch, what)
    }

    async fn end(self) -> Result<()> {
        let guard = self.guard;
        Ok(tokio::task::spawn_blocking(move || guard.shutdown(DEADLINE)).await??)
    }
}

async fn watch_three_programs(stage: &Stage, follow: &mut Follow) -> Result<()> {
    println!("1. three programs log");
    let names = ["orders", "billing", "search"];
    for name in names {
        let program = Program::start(name, Bounds::default(), &stage.endpoint)?;
        program.logs(|| (1..=40).for_each(event));
        program.end().await?;
    }
    let records = seen(follow, 120).await?;
    let mut by_source = BTreeMap::<String, Vec<u64>>::new();
    for record in &records {
        by_source.entry(source(record)).or_default().push(number(record)?);
    }
    for record in records.iter().filter(|record| number(record).is_ok_and(|number| number == 10)) {
        println!("    {}", line(record, false));
    }
    for name in names {
        let in_order =
            by_source.get(name).is_some_and(|numbers| numbers.iter().copied().eq(1..=40));
        ensure!(in_order, "{name} was not seen as it was logged: {by_source:?}");
    }
    Ok(())
}

async fn filter(stage: &Stage) -> Result<()> {
    println!("2. filters");
    let view = ViewClient::new(stage.client.clone());
    for (level, target, text, expected) in [
        (Level::Warn, "", "", 36),
        (Level::Unspecified, "shop::payment", "", 12),
        (Level::Unspecified, "shop", "", 120),
        (Level::Unspecified, "sho", "", 0),
        (Level::Unspecified, "", "DECLINED", 12),
        (Level::Info, "shop::cart", "order", 36),
    ] {
        let filter = Filter { level: level.into(), target: target.into(), text: text.into() };
        let request = QueryRequest { filter: Some(filter), before: 0, limit: 1_000 };
        let found = view.query(request).await?.records.len();
        println!("    level {level:?}, target {target:?}, text {text:?}: {found}");
        ensure!(found == expected, "{expected} should have been found");
    }
    Ok(())
}

/// The broker is stopped and started while a program logs.
async fn lose_nothing(stage: &mut Stage, follow: &mut Follow) -> Result<()> {
    println!("3. the broker is restarted twice under 3,000 events");
    let program = Program::start("orders", Bounds::default(), &stage.endpoint)?;
    let (sender, thirds) = std::sync::mpsc::channel();
    let dispatch = program.dispatch.clone();
    let logs = std::thread::spawn(move || {
        tracing::dispatcher::with_default(&dispatch, || {
            for number in 1..=3_000 {
                event(number);
                std::thread::sleep(Duration::from_micros(300));
                if number % 1_000 == 0 && sender.send(number).is_err() {
                    return;
                }
            }
        });
    });
    for _ in 0..2 {
        tokio::task::block_in_place(|| thirds.recv())?;
        stage.stop_broker().await?;
        stage.start_broker()?;
    }
    tokio::task::spawn_blocking(move || logs.join())
        .await?
        .map_err(|_| anyhow::anyhow!("it panicked"))?;
    program.end().await?;
    let records = seen(follow, 3_000).await?;
    let numbers: Vec<u64> = records.iter().map(number).collect::<Result<_>>()?;
    ensure!(numbers.iter().copied().eq(1..=3_000), "not each once and in order");
    println!("    each is stored once and in order, and the viewer has seen each once");
    Ok(())
}

/// The broker stays away longer than the buffer lasts.
async fn stay_bounded(stage: &mut Stage, follow: &mut Follow) -> Result<()> {
    println!("4. the broker stays away, and 200 events may wait");
    stage.stop_broker().await?;
    let bounds = Bounds { events: 200, ..Bounds::default() };
    let program = Program::start("billing", bounds, &stage.endpoint)?;
    program.logs(|| (1..=1_000).for_each(event));
    let (events, bytes) = program.guard.waiting();
    println!("    of 1,000 events {events} wait, with {bytes} bytes");
    ensure!(events <= 200, "more wait than may");
    stage.start_broker()?;
    program.end().await?;
    let (mut kept, mut dropped, mut errors) = (0, 0, 0);
    while kept + dropped < 1_000 {
        for record in some(follow).await? {
            let event = record.event.clone().unwrap_or_default();
            match event.dropped {
                0 => kept += 1,
                told => {
                    dropped += told;
                    println!("    {}", line(&record, false));
                }
            }
            errors += u64::from(event.level() == Level::Error);
        }
    }
    ensure!(kept + dropped == 1_000 && dropped >= 800, "{kept} are there, and {dropped} were told");
    ensure!(errors == 100, "{errors} of 100 errors were kept; other events should have gone first");
    println!("    {kept} were kept, all errors among them, and {dropped} are told as dropped");
    Ok(())
}

async fn be_attacked(stage: &Stage, follow: &mut Follow) -> Result<()> {
    println!("5. a guest writes what steers terminals and pages");
    let program = Program::start("shop", Bounds::default(), &stage.endpoint)?;
    let said = "<script>steal()</script>\x1b[2J\r\nERROR forged";
    program.logs(|| tracing::info!(target: "shop::guest", "{said}"));
    program.end().await?;
    let records = seen(follow, 1).await?;
    let shown = line(records.first().context("it was not seen")?, false);
    println!("    {shown}");
    ensure!(!shown.chars().any(char::is_control), "it steers the terminal");
    Ok(())
}

async fn browse(stage: &Stage) -> Result<()> {
    println!("6. the log as a web page");
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let place = listener.local_addr()?.to_string();
    let server = tokio::spawn(web::serve(listener, stage.client.clone(), std::future::pending()));
    let page = get(&place, "/", "</html>").await?;
    let policy = page.lines().find(|line| line.starts_with("content-security-policy"));
    println!("    http://{place}/ is there; {}", policy.context("the page allows everything")?);
    let wanted = "/live?level=info&target=shop::guest&text=steal&last=10";
    let live = get(&place, wanted, "forged").await?;
    let records = live.lines().filter(|line| line.starts_with("data: [")).count();
    println!("    {wanted} gives {records} message of records");
    ensure!(live.contains(r"\\u{1b}[2J\\r\\nERROR forged"), "it is not escaped: {live}");
    server.abort();
    Ok(())
}

/// A program whose broker never comes ends in time, and is told what is lost.
async fn be_told(folder: &Path) -> Result<()> {
    println!("7. a program ends, and there is no broker");
    let nowhere = format!("ipc://{}", folder.join("nowhere").display());
    let program = Program::start("lonely", Bounds::default(), &nowhere)?;
    program.logs(|| (1..=5).for_each(event));
    let guard = program.guard;
    let within = Duration::from_millis(200);
    let ended = tokio::task::spawn_blocking(move || guard.shutdown(within)).await?;
    let Err(left) = ended else { bail!("5 events went where nobody is") };
    println!("    {left}");
    ensure!(left.events == 5, "not all of them are told");
    Ok(())
}

async fn wait_until_it_follows(follow: &mut Follow) -> Result<()> {
    loop {
        let seen = tokio::time::timeout(DEADLINE, follow.next()).await;
        if let Seen::Back = seen.context("nobody shows the log")?? {
            return Ok(());
        }
    }
}

/// The next records.
async fn some(follow: &mut Follow) -> Result<Vec<Record>> {
    loop {
        let seen = tokio::time::timeout(DEADLINE, follow.next()).await;
        match seen.context("no more records came")?? {
            Seen::Records(records) => return Ok(records),
            Seen::Lost(status) => println!("    the viewer waits: {status}"),
            Seen::Back => println!("    the viewer goes on"),
        }
    }
}

/// So many records, and not one more.
async fn seen(follow: &mut Follow, count: usize) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    while records.len() < count {
        records.append(&mut some(follow).await?);
    }
    ensure!(records.len() == count, "{} records came in place of {count}", records.len());
    Ok(records)
}

fn source(record: &Record) -> String {
    record.source.as_ref().map(|source| source.name.clone()).unwrap_or_default()
}

/// The field `number` of the shop's events.
fn number(record: &Record) -> Result<u64> {
    let fields = record.event.as_ref().map(|event| event.fields.as_slice()).unwrap_or_default();
    let number = fields.iter().find(|field| field.name == "number").context("it has no number")?;
    Ok(number.value.parse()?)
}

/// What comes of an address, up to some words.
async fn get(place: &str, path: &str, words: &str) -> Result<String> {
    let mut stream = TcpStream::connect(place).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains(words) {
        let read = tokio::time::timeout(DEADLINE, stream.read_buf(&mut said)).await;
        let read = read.with_context(|| format!("{path} never said {words:?}"))??;
        ensure!(read > 0, "{path} ended with {:?}", String::from_utf8_lossy(&said));
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}
