//! `mdp top` in a terminal, of which the screen is looked at.

// A test names its fault by failing; records need no docs in one.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../../tests/support/process.rs"]
mod process;
#[path = "../../tests/support/raw.rs"]
mod raw;
mod shop;
mod support;
#[path = "../../tests/support/zmtp.rs"]
mod zmtp;

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mdp_runtime::{Client, Worker};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use process::Process;
use shop::{Counted, Job, ShopClient, ShopWorker};
use support::{broker, mdp};

const ROWS: u16 = 30;
const COLUMNS: u16 = 130;

/// The program in a terminal.
struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    screen: Arc<Mutex<vt100::Parser>>,
    /// Open as long as the terminal is.
    _master: Box<dyn MasterPty + Send>,
}

impl Terminal {
    fn start(args: &[&str]) -> Self {
        let size = PtySize { rows: ROWS, cols: COLUMNS, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_mdp"));
        command.args(args);
        command.env("TERM", "xterm-256color");
        let child = pair.slave.spawn_command(command).unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(ROWS, COLUMNS, 0)));
        let (mut output, shown) = (pair.master.try_clone_reader().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(len @ 1..) = output.read(&mut buffer) {
                shown.lock().unwrap().process(buffer.get(..len).unwrap());
            }
        });
        let keyboard = pair.master.take_writer().unwrap();
        Terminal { child, keyboard, screen, _master: pair.master }
    }

    fn shows(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Waits until a line of the screen is as wanted, and gives it.
    fn line(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            if let Some(line) = self.shows().lines().find(|line| wanted(line)) {
                return line.to_owned();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("no line with {what}:\n{}", self.shows());
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    fn end(mut self) -> u32 {
        self.child.wait().unwrap().exit_code()
    }
}

/// The numbers in a line that are rates.
fn rates(line: &str) -> Vec<f64> {
    line.split_whitespace()
        .filter(|word| word.contains('.'))
        .filter_map(|word| word.parse().ok())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_screen_shows_services_workers_and_methods_as_they_are() {
    let (mut broker, endpoint) = broker(&[]);
    let builder = Worker::builder().connect(&endpoint).id("w-1").capacity(16);
    let _worker = builder.serve(ShopWorker::new(Counted::default())).start().unwrap();
    let shop = ShopClient::new(Client::connect(&endpoint).await.unwrap());
    let calls = tokio::spawn(async move {
        loop {
            let name = "one".to_owned();
            let job = Job { name, size: None, labels: Default::default(), parts: Vec::new() };
            if shop.make(job).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
    });
    let looked = tokio::task::spawn_blocking(move || {
        let mut top = Terminal::start(&["top", "--endpoint", &endpoint, "--interval", "0.2"]);
        let busy = |name: &'static str| {
            move |line: &str| {
                line.contains(name) && rates(line).first().is_some_and(|calls| *calls > 1.0)
            }
        };
        top.line("a busy service", busy("shop.v1.Shop"));
        let worker = top.line("a busy worker", busy("w-1"));
        assert!(worker.contains("serving") && worker.contains("/16"), "{worker}");
        top.line("all calls", |line| line.contains("calls/s") && rates(line).first() > Some(&1.0));
        top.press("\t");
        top.line("a busy method", busy("Make"));
        broker.kill();
        top.line("the broker's end", |line| line.contains("the broker does not answer"));
        // What was seen last stays.
        top.line("the service", |line| line.contains("shop.v1.Shop"));
        top.press("q");
        assert_eq!(top.end(), 0);
    });
    looked.await.unwrap();
    calls.abort();
}

#[test]
fn without_a_terminal_it_says_what_to_use() {
    let ended = Process::start(mdp().args(["top", "--endpoint", "tcp://127.0.0.1:9"])).end();
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert!(ended.stderr.contains("mdp stats"), "{ended:?}");
}
