//! What was promised and what was found.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

/// The longest line of a page, in bytes.
const PAGE_WIDTH: usize = 120;

/// What callers or operators may rely on.
#[derive(Clone, Debug)]
pub(crate) struct Promise {
    pub(crate) words: String,
    pub(crate) kept: bool,
    pub(crate) found: String,
}

impl Promise {
    pub(crate) fn new(words: impl Into<String>, kept: bool, found: impl Into<String>) -> Self {
        Promise { words: words.into(), kept, found: found.into() }
    }
}

/// A fault that was run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) id: &'static str,
    /// Which case of it, if there are several.
    pub(crate) case: String,
    pub(crate) load: String,
    /// Counts, a sentence each.
    pub(crate) figures: Vec<String>,
    pub(crate) promises: Vec<Promise>,
    /// Why it was not run.
    pub(crate) skipped: Option<String>,
    /// A table of figures, as Markdown.
    pub(crate) table: String,
}

impl Report {
    pub(crate) fn skipped(why: impl Into<String>) -> Self {
        Report { skipped: Some(why.into()), ..Report::default() }
    }

    pub(crate) fn figure(&mut self, words: impl Into<String>) {
        self.figures.push(words.into());
    }

    pub(crate) fn promise(
        &mut self,
        words: impl Into<String>,
        kept: bool,
        found: impl Into<String>,
    ) {
        self.promises.push(Promise::new(words, kept, found));
    }

    fn name(&self) -> String {
        match self.case.as_str() {
            "" => self.id.to_owned(),
            case => format!("{}, {case}", self.id),
        }
    }

    /// For a terminal.
    pub(crate) fn text(&self) -> String {
        let name = self.name();
        if let Some(why) = &self.skipped {
            return format!("\n{name}: SKIPPED: {why}\n\n");
        }
        let mut text = format!("{name}: {}\n", self.load);
        for figure in &self.figures {
            writeln!(text, "  {figure}").unwrap();
        }
        for Promise { words, kept, found } in &self.promises {
            let verdict = if *kept { "kept    " } else { "NOT KEPT" };
            writeln!(text, "  {verdict} {words}: {found}").unwrap();
        }
        text + &self.table
    }

    /// The promises that were not kept.
    pub(crate) fn broken(&self) -> Vec<String> {
        let broken = self.promises.iter().filter(|promise| !promise.kept);
        broken.map(|promise| format!("{}: {}", promise.words, promise.found)).collect()
    }

    fn markdown(&self) -> String {
        let mut text = match self.case.as_str() {
            "" => String::new(),
            case => format!("**{case}.** "),
        };
        if let Some(why) = &self.skipped {
            return text + &format!("SKIPPED: {why}\n");
        }
        writeln!(text, "{}.", self.load).unwrap();
        for figure in &self.figures {
            writeln!(text, "{figure}.").unwrap();
        }
        text = wrapped(&text);
        if !self.promises.is_empty() {
            text += "\n| promise | kept | found |\n|---|---|---|\n";
        }
        for Promise { words, kept, found } in &self.promises {
            let verdict = if *kept { "yes" } else { "**NOT KEPT**" };
            writeln!(text, "| {words} | {verdict} | {found} |").unwrap();
        }
        if !self.table.is_empty() {
            text += "\n";
            text += &self.table;
        }
        text
    }
}

/// When a fault was begun, and how busy the machine was with other things.
pub(crate) struct Ran {
    begun: Instant,
    load_before: f64,
}

impl Ran {
    pub(crate) fn now() -> Self {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().and_then(|load| load.parse().ok());
        Ran { begun: Instant::now(), load_before: load.unwrap_or(0.0) }
    }
}

/// Puts what was found about a fault into its place in docs/reliability.md, between its two markers.
pub(crate) fn keep(id: &str, title: &str, done: &str, reports: &[Report], ran: &Ran) {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reliability.md"));
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- chaos {id} -->\n"), format!("<!-- chaos {id} end -->"));
    let (before, rest) =
        text.split_once(&begin).unwrap_or_else(|| panic!("no {begin:?} in {path:?}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no {end:?} in {path:?}"));
    let mut part = format!("### {id}: {title}\n\n{}\n", wrapped(done));
    let seconds = ran.begun.elapsed().as_secs();
    let busy = ran.load_before;
    writeln!(part, "Run on {}; load average {busy} before; {seconds} s.\n", machine()).unwrap();
    for report in reports {
        part += &report.markdown();
        part += "\n";
    }
    let whole = format!("{before}{begin}{part}{end}{after}");
    std::fs::write(&path, whole).unwrap();
}

/// Text as lines of a page. A word is not cut.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    for line in text.lines() {
        let mut width = 0;
        for word in line.split(' ') {
            if width > 0 && width + 1 + word.len() > PAGE_WIDTH {
                lines.push('\n');
                width = 0;
            } else if width > 0 {
                lines.push(' ');
                width += 1;
            }
            lines += word;
            width += word.len();
        }
        lines.push('\n');
    }
    lines
}

/// The day, and the machine.
fn machine() -> String {
    let day = Command::new("date").args(["-u", "+%Y-%m-%d"]).output().unwrap();
    let day = String::from_utf8_lossy(&day.stdout).trim().to_owned();
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let name = name.map_or("an unknown processor", |(_, name)| name.trim());
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory =
        memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().split_once(' '));
    let memory =
        memory.and_then(|(kib, _)| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0 / 1024.0;
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    format!("{day}, {cores} cores of {name}, {memory:.1} GiB, {build} build")
}
