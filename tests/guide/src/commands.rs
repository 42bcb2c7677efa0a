//! The commands of the pages, looked at without running them.

use std::path::Path;

use toml::{Table, Value};

use crate::blocks::Block;

/// A line of a shell, as words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program's name and its arguments. Settings of the environment before them are left out.
    pub words: Vec<String>,
}

impl Command {
    /// The commands of a line: comments are left out, `&&` and `|` separate.
    pub fn of(line: &str) -> Vec<Command> {
        let words = words(line);
        let parts = words.split(|word| matches!(word.as_str(), "&&" | "|" | "&" | ";"));
        let settings = |word: &String| {
            let name = word.split_once('=').map_or("", |(name, _)| name);
            !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
        };
        let commands = parts.map(|part| part.iter().skip_while(|word| settings(word)).cloned());
        commands
            .map(|words| Command { words: words.collect() })
            .filter(|c| !c.words.is_empty())
            .collect()
    }

    /// The program.
    pub fn program(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// The value behind one of these options.
    fn value(&self, options: &[&str]) -> Option<&str> {
        let own = self.words.iter().take_while(|word| *word != "--");
        let mut after = own.skip_while(|word| !options.contains(&word.as_str()));
        after.nth(1).map(String::as_str)
    }
}

/// The commands of a block: all lines of a script, those behind `$ ` of what a terminal shows. Text that a script gives to
/// a command (`<<'END'`) is none.
pub fn commands(block: &Block) -> Vec<Command> {
    let text = block.text.replace("\\\n", " ");
    let mut commands = Vec::new();
    let mut end: Option<String> = None;
    for line in text.lines() {
        if let Some(word) = &end {
            if line.trim() == word {
                end = None;
            }
            continue;
        }
        let line = match block.language.as_str() {
            "sh" => line,
            _ => match line.strip_prefix("$ ") {
                Some(line) => line,
                None => continue,
            },
        };
        end = line.split_once("<<").map(|(_, word)| word.trim_matches('\'').to_owned());
        commands.extend(Command::of(line));
    }
    commands
}

/// The commands in a page's prose: spans of code that begin with the name of a program.
pub fn spans(page: &str, program: &str) -> Vec<Command> {
    let mut in_fence = false;
    let prose = page.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        in_fence ^= is_fence;
        !in_fence && !is_fence
    });
    let prose: Vec<&str> = prose.collect();
    let prose = prose.join("\n");
    // A sign that is left over does not turn the rest of the page around.
    let spans = prose.split("\n\n").flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2));
    spans.flat_map(Command::of).filter(|c| c.program() == program && c.words.len() > 1).collect()
}

/// What a command of cargo names and the workspace does not have.
pub fn missing(command: &Command, root: &Path) -> Option<String> {
    let manifest = |folder: &str| {
        let text = std::fs::read_to_string(root.join(folder).join("Cargo.toml")).ok()?;
        text.parse::<Table>().ok()
    };
    let workspace = manifest("")?;
    if let Some(profile) = command.value(&["--profile"]) {
        let there = workspace.get("profile").and_then(|profiles| profiles.get(profile)).is_some();
        if !there && !["dev", "test", "release", "bench"].contains(&profile) {
            return Some(format!("there is no profile {profile}"));
        }
    }
    if let Some(path) = command.value(&["--path"]).filter(|path| !root.join(path).exists()) {
        return Some(format!("there is no {path}"));
    }
    let package = command.value(&["-p", "--package"])?;
    let members = workspace.get("workspace")?.get("members")?.as_array()?;
    let folders = members.iter().filter_map(Value::as_str);
    let mut packages = folders.filter_map(|folder| Some((folder, manifest(folder)?)));
    let named =
        |manifest: &Table| manifest.get("package")?.get("name")?.as_str().map(str::to_owned);
    let Some((folder, manifest)) = packages.find(|(_, m)| named(m).as_deref() == Some(package))
    else {
        return Some(format!("there is no package {package}"));
    };
    if let Some(test) = command.value(&["--test"]) {
        let tests = root.join(folder).join("tests");
        if !tests.join(format!("{test}.rs")).exists() && !tests.join(test).join("main.rs").exists()
        {
            return Some(format!("{package} has no test {test}"));
        }
    }
    let features = command.value(&["--features"])?.split(',');
    let known =
        |feature: &&str| manifest.get("features").is_some_and(|all| all.get(feature).is_some());
    let unknown: Vec<&str> = features.filter(|feature| !known(feature)).collect();
    (!unknown.is_empty()).then(|| format!("{package} has no feature {}", unknown.join(", ")))
}

/// The words of a line, as a shell makes them of quotes. What is behind ` #` is a comment.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match quote {
            Some(end) if c == end => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c == '#' && word.is_none() => break,
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
