//! The page in headless Chromium, driven through its DevTools protocol. `.ci/chromium` runs it.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod support;

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::World;

const DEADLINE: Duration = Duration::from_secs(90);
const HOSTILE: &str =
    "<img src=x onerror=\"window.stolen=1\"><script>window.stolen=1</script> \u{1b}[31m";

/// A browser with one page.
struct Chromium {
    process: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    last: u64,
    session: Option<String>,
    _profile: tempfile::TempDir,
}

impl Chromium {
    fn open(address: &str) -> Self {
        let program =
            std::env::var("MDP_CHROMIUM").expect("MDP_CHROMIUM says which Chromium to run");
        let profile = tempfile::tempdir().unwrap();
        let mut process = Command::new("sh")
            // It reads commands from descriptor 3 and answers on 4.
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", &program])
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--disable-extensions", "--disable-background-networking"])
            .args([
                "--remote-debugging-pipe",
                &format!("--user-data-dir={}", profile.path().display()),
            ])
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = process.stdin.take().unwrap();
        let messages = read(process.stdout.take().unwrap());
        let mut chromium =
            Chromium { process, commands, messages, last: 0, session: None, _profile: profile };
        let target = chromium.call("Target.createTarget", json!({ "url": address }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = chromium.call("Target.attachToTarget", attach);
        chromium.session = Some(session["sessionId"].as_str().unwrap().to_owned());
        chromium
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut command = json!({ "id": self.last, "method": method, "params": params });
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).unwrap();
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = self.messages.recv_timeout(left);
            let message = message.unwrap_or_else(|error| panic!("no answer to {method}: {error}"));
            if message["id"] == json!(self.last) {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }

    /// What an expression is worth within the page.
    fn value(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true });
        let result = self.call("Runtime.evaluate", params);
        assert!(result.get("exceptionDetails").is_none(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// Waits until an expression is worth that.
    fn until(&mut self, expression: &str, wanted: &Value) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let found = self.value(expression);
            if found == *wanted {
                return;
            }
            assert!(Instant::now() < deadline, "{expression} is {found}, and never was {wanted}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Puts a value into a field of the form, as somebody who types it.
    fn put(&mut self, field: &str, value: &str) {
        let set = format!(
            "{{ const field = document.forms[0].elements[{field:?}]; field.value = {value:?};
                field.dispatchEvent(new Event('input', {{ bubbles: true }})); }}"
        );
        self.value(&set);
    }

    /// How many lines the page has, once it follows.
    fn until_lines(&mut self, count: usize) {
        self.until("document.getElementById('state')?.textContent", &json!("live"));
        self.until(LINES, &json!(count));
    }

    fn shows(&mut self, words: &str) -> Vec<String> {
        let lines =
            self.value("[...document.querySelectorAll('#lines li')].map(line => line.innerText)");
        let lines: Vec<String> = serde_json::from_value(lines).unwrap();
        lines.into_iter().filter(|line| line.contains(words)).collect()
    }
}

const LINES: &str = "document.querySelectorAll('#lines li').length";

impl Drop for Chromium {
    fn drop(&mut self) {
        // It may have ended already. Its helpers end with it, as their pipes break.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Messages, which end with a byte of 0 each.
fn read(mut stream: impl Read + Send + 'static) -> Receiver<Value> {
    let (sender, messages) = channel();
    std::thread::spawn(move || {
        let (mut waiting, mut some) = (Vec::new(), [0; 65_536]);
        while let Ok(count @ 1..) = stream.read(&mut some) {
            waiting.extend_from_slice(&some[..count]);
            while let Some(end) = waiting.iter().position(|byte| *byte == 0) {
                let message: Vec<u8> = waiting.drain(..=end).collect();
                let message = serde_json::from_slice(&message[..end]).unwrap();
                if sender.send(message).is_err() {
                    return;
                }
            }
        }
    });
    messages
}

#[test]
#[ignore = "needs Chromium, which `.ci/chromium` installs"]
fn the_page_shows_events_live_filters_them_and_runs_nothing_of_theirs() {
    let world = World::new();
    let mut broker = world.broker();
    let _logger = world.logger("logger-1");
    let (_web, address) = world.web();
    world.logs(&["--events", "20", "--rate", "0", "--name", "early"]);

    let mut page = Chromium::open(&address);
    page.until_lines(20);
    assert_eq!(page.shows("early[").len(), 20);

    // Live, without a word from here to the page.
    world.logs(&["--events", "30", "--rate", "0", "--name", "later"]);
    page.until_lines(50);
    assert_eq!(page.shows("later[").len(), 30);

    // Filters: of the past and of what comes.
    page.put("level", "warn");
    page.until_lines(15);
    page.put("target", "shop::payment");
    page.until_lines(5);
    page.put("text", "NUMBER=20");
    page.until_lines(2);
    page.put("text", "declined");
    page.until_lines(5);
    assert_eq!(
        page.value("location.search"),
        json!("?level=warn&target=shop%3A%3Apayment&text=declined")
    );
    world.logs(&["--events", "10", "--rate", "0", "--name", "last"]);
    page.until_lines(6);
    assert!(page.shows("last[")[0].contains("card declined number=10"));

    // Hostile text is text.
    for field in ["level", "target", "text"] {
        page.put(field, "");
    }
    page.until_lines(60);
    world.logs(&["--say", HOSTILE]);
    page.until_lines(61);
    let shown = page.shows("window.stolen");
    assert!(shown[0].contains(&HOSTILE.replace('\u{1b}', r"\u{1b}")), "{shown:?}");
    assert_eq!(page.value("document.querySelectorAll('img, #lines script').length"), json!(0));
    assert_eq!(page.value("typeof window.stolen"), json!("undefined"));

    // The broker is killed: the page says so, and goes on behind the last line.
    broker.kill();
    page.until("document.getElementById('state').className", &json!("lost"));
    let _broker = world.broker();
    world.logs(&["--events", "10", "--rate", "0", "--name", "after"]);
    page.until_lines(71);

    // A page that stays open has a bounded number of lines, the newest.
    world.logs(&["--events", "2500", "--rate", "0", "--name", "many"]);
    page.until(
        "document.querySelector('#lines li:last-child').innerText.includes('number=2500')",
        &json!(true),
    );
    assert_eq!(page.value(LINES), json!(2_000));

    // A link opens with its filters; "older" brings what was before.
    let link = format!("{address}?text=number%3D2500");
    drop(page);
    let mut page = Chromium::open(&format!("{address}?level=info"));
    page.until_lines(200);
    page.value("document.getElementById('older').click()");
    page.until(LINES, &json!(400));
    assert_eq!(
        page.shows("INFO").len() + page.shows("WARN").len() + page.shows("ERROR").len(),
        400
    );
    drop(page);
    let mut page = Chromium::open(&link);
    page.until("document.forms[0]?.elements.text.value", &json!("number=2500"));
    page.until_lines(1);
}
