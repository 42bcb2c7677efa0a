//! Programs of others as processes, and a service to call through them.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use mdp_runtime::{MdpRecord, Status, Stream, mdp_service, stream};

/// Calls in a test.
pub const CALLS: usize = 10_000;

/// Text.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Words {
    /// The text.
    #[mdp(1)]
    pub text: String,
}

/// Sends back what it gets.
#[mdp_service(package = "interop.v1")]
pub trait Echo {
    /// The same.
    #[mdp(idempotent)]
    async fn same(&self, words: Words) -> Result<Words, Status>;

    /// Each of its letters.
    async fn letters(
        &self,
        words: Words,
    ) -> Result<impl Stream<Item = Result<Words, Status>> + Send, Status>;
}

/// What it says.
#[derive(Debug)]
pub struct Parrot;

impl Echo for Parrot {
    async fn same(&self, words: Words) -> Result<Words, Status> {
        match words.text.as_str() {
            "" => Err(Status::invalid_argument("say something")),
            _ => Ok(words),
        }
    }

    async fn letters(
        &self,
        words: Words,
    ) -> Result<impl Stream<Item = Result<Words, Status>> + Send, Status> {
        let (letters, replies) = stream::channel(16);
        tokio::spawn(async move {
            for letter in words.text.chars() {
                if letters.send(Words { text: letter.to_string() }).await.is_err() {
                    return;
                }
            }
        });
        Ok(replies)
    }
}

/// A script of `python/` that runs.
#[derive(Debug)]
pub struct Python {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Python {
    /// Starts a script. `MDP_PYTHON` names the interpreter; it needs pyzmq.
    ///
    /// # Panics
    ///
    /// There is no interpreter.
    #[allow(clippy::unwrap_used)] // for tests
    pub fn start(script: &str, arguments: &[&str]) -> Self {
        Python::start_with(script, arguments, "")
    }

    /// Starts a script with CURVE: `keys` has the broker's public key, and the public and the secret key of the script,
    /// with spaces between. Empty: without CURVE.
    ///
    /// # Panics
    ///
    /// There is no interpreter.
    #[allow(clippy::unwrap_used)] // for tests
    pub fn start_with(script: &str, arguments: &[&str], keys: &str) -> Self {
        let program = std::env::var_os("MDP_PYTHON").unwrap_or_else(|| "python3".into());
        let mut child = Command::new(program)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(script))
            .args(arguments)
            .env("INTEROP_CURVE", keys)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Python { input: child.stdin.take(), child, output }
    }

    /// The next line that it prints.
    ///
    /// # Panics
    ///
    /// It prints none.
    #[allow(clippy::unwrap_used)] // for tests
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Ends its input and gives the rest of what it prints.
    ///
    /// # Panics
    ///
    /// It fails.
    #[allow(clippy::unwrap_used)] // for tests
    pub fn end(mut self) -> String {
        self.input = None;
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the script ended with {status}");
        rest.trim_end().to_owned()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
