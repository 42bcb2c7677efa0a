//! Generates the page `docs/settings.md` from the command line, the configuration and the profiles.
//!
//! The test fails if the page differs. `MDP_WRITE_DOCS=1 cargo test -p mdp-cli --bin mdp reference` writes the page
//! again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // tests

use std::fmt::Write;
use std::fs;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};
use mdp_protocol::broker;

use crate::args::Args;

const HEAD: &str = "\
<!-- Made from the code. Write it anew with `MDP_WRITE_DOCS=1 cargo test -p mdp-cli --bin mdp reference`. -->

# Settings

All settings of the broker's configuration file, all flags of the program `mdp`, and all environment variables. The
tables are made from the code, and a test compares them.

- [Configuration file of the broker](#configuration-file-of-the-broker)
- [Command line](#command-line)
- [Environment variables](#environment-variables)
- [Profiles](#profiles)
- [Exit codes](#exit-codes)

Settings of clients and workers in a program are methods of their builders: [calls](calls.md#settings-of-a-client) and
[first service](first-service.md#settings-of-a-worker).

## Configuration file of the broker

`mdp broker --config FILE` reads a TOML file. A key that does not exist here is an error, and the broker ends with exit
code 2. Relative paths count from the folder in which the program runs. A flag of the command line counts before the
same setting of the file.
";

/// The text below the heading of each table of the file.
const TABLES: [(&str, &str, &str); 4] = [
    ("", "ConfigFile", "At the top of the file:"),
    (
        "curve",
        "CurveConfig",
        "The broker's key, and which peers may connect. Without this table there is no encryption. With a `policy` the \
         keys of the policy may connect, and not those of this table. [Security](security.md) explains it.",
    ),
    (
        "classic",
        "ClassicConfig",
        "For peers of classic MDP (RFC 7 and RFC 18), which cannot set these values themselves.",
    ),
    (
        "limits",
        "LimitsConfig",
        "The most that peers can make the broker hold. In a program: `BrokerBuilder::limits(Limits { .. })`, with the \
         same names. What happens at each limit: [wire.md, section 10](wire.md#10-limits).",
    ),
];

const POLICY: &str = "
### The policy

`policy` names a TOML file with the tables `[[principal]]`, `[anyone]` and `[anonymous]`. Its keys are in
[security.md](security.md#4-who-may-do-what). The broker reads it again when it changes.
";

const COMMANDS: &str = "
## Command line

`mdp --help` lists the commands, `mdp COMMAND --help` has the text below. A value in seconds may have a fraction: `0.5`.
";

const CONNECTION: &str = "
### Connection

All commands that connect to a broker have these flags. For each setting on its own, the command line counts before the
environment, the environment before the profile, and the profile before the default.
";

const VARIABLES: [(&str, &str); 6] = [
    ("NO_COLOR", "With a value that is not empty, the log of `mdp broker` has no colour codes."),
    (
        "MDP_TRANSPORT",
        "The sockets of this program: `native` for the toolkit's own, or `libzmq`. Default: `native`.",
    ),
    ("RUST_LOG", "The log filter of `mdp broker`, if `--log` is not given. Default: `info`."),
    (
        "XDG_CONFIG_HOME",
        "The user's configuration directory, with the profiles. Default: `~/.config`.",
    ),
    (
        "NOTIFY_SOCKET",
        "systemd sets it for `Type=notify`: `mdp broker` reports READY and STOPPING there.",
    ),
    (
        "WATCHDOG_USEC",
        "systemd sets it for `WatchdogSec=`: `mdp broker` reports at half that time that it runs.",
    ),
];

const PROFILES: &str = "
## Profiles

`mdp/profiles.toml` in the user's configuration directory has a table for each profile. `--profile NAME` or
`MDP_PROFILE` chooses one.
";

const EXITS: &str = "
## Exit codes

| command | code | meaning |
|---|---|---|
| all | 0 | The command did what it was asked for. |
| all | 1 | Something failed. |
| all | 2 | The command line, the configuration or a key name is wrong. |
| `mdp call` | 64 + status code | The call ended with this status. Example: 69 is NOT_FOUND, status code 5. |
| `mdp bench` | 1 | A call did not end with OK. |
| `mdp doctor` | 1 | There is something to mend. |
| `mdp schema check` | 1 | A change breaks compatibility. |
| `mdp schema diff` | 1 | The schemas differ. |
| `mdp schema export`, `mdp schema check`, `mdp schema diff` | 2 | Descriptors cannot be read. With `--against-broker`: nothing could be compared. |
";

#[test]
fn the_page_of_settings_says_what_the_program_has() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/settings.md");
    let page = page();
    if std::env::var_os("MDP_WRITE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    let differs = page.lines().zip(there.lines()).find(|(ours, theirs)| ours != theirs);
    assert!(
        there == page,
        "docs/settings.md is not what the code says: {differs:?}. MDP_WRITE_DOCS=1 with this test writes it again."
    );
}

/// Checks that each setting has a description that ends with a full stop.
#[test]
fn each_setting_and_flag_is_explained() {
    let page = page();
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let silent: Vec<&str> = rows.filter(|row| !row.ends_with(". |")).collect();
    assert!(silent.is_empty(), "no sentence: {silent:#?}");
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    let defaults = Defaults::of_the_broker();
    for (table, strukt, text) in TABLES {
        if !table.is_empty() {
            write!(page, "\n### `[{table}]`\n").unwrap();
        }
        write!(
            page,
            "\n{}\n\n| key | value | default | meaning |\n|---|---|---|---|\n",
            wrapped(text)
        )
        .unwrap();
        for field in fields(include_str!("config.rs"), strukt) {
            if TABLES.iter().any(|(table, ..)| *table == field.name) {
                continue;
            }
            let (name, unit, doc) = (&field.name, field.unit(), &field.doc);
            let default = defaults.of(table, &field);
            writeln!(page, "| `{name}` | {unit} | {default} | {doc} |").unwrap();
        }
    }
    page += POLICY;
    page += COMMANDS;
    let (mut shared, mut variables) = (Vec::new(), Vec::new());
    let program = Args::command();
    for command in program.get_subcommands() {
        command_part(&mut page, "mdp", command, &mut shared, &mut variables);
    }
    page += CONNECTION;
    page.push('\n');
    page += &flag_table(&shared);
    page += "\n## Environment variables\n\n| variable | meaning |\n|---|---|\n";
    for (name, text) in
        variables.iter().map(|(name, text)| (name.as_str(), text.as_str())).chain(VARIABLES)
    {
        writeln!(page, "| `{name}` | {text} |").unwrap();
    }
    page += PROFILES;
    page += "\n| key | value | meaning |\n|---|---|---|\n";
    for field in fields(include_str!("profile.rs"), "Profile") {
        writeln!(page, "| `{}` | {} | {} |", field.name, field.unit(), field.doc).unwrap();
    }
    page += EXITS;
    page
}

/// Writes a command with its flags. The flags of the connection go into `shared`, once.
fn command_part(
    page: &mut String,
    before: &str,
    command: &Command,
    shared: &mut Vec<Arg>,
    variables: &mut Vec<(String, String)>,
) {
    let name = format!("{before} {}", command.get_name());
    let below: Vec<&Command> = command.get_subcommands().collect();
    if !below.is_empty() {
        below.into_iter().for_each(|command| command_part(page, &name, command, shared, variables));
        return;
    }
    let (connection, own): (Vec<Arg>, Vec<Arg>) = command
        .get_arguments()
        .filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version"))
        .cloned()
        .partition(|arg| arg.get_help_heading() == Some("Connection"));
    let about = command
        .get_long_about()
        .or_else(|| command.get_about())
        .expect("a command says what it does");
    write!(page, "\n### `{name}`\n\n{}\n", wrapped(&sentence(&about.to_string()))).unwrap();
    if !own.is_empty() {
        page.push('\n');
        *page += &flag_table(&own);
    }
    if !connection.is_empty() {
        *page += "\nAlso the flags of [Connection](#connection).\n";
    }
    for arg in &connection {
        if shared.iter().any(|known| known.get_id() == arg.get_id()) {
            continue;
        }
        if let Some(variable) = arg.get_env() {
            let flag = arg.get_long().expect("a flag has a name");
            variables.push((
                variable.to_string_lossy().into_owned(),
                format!("As `--{flag}`. {}", help(arg)),
            ));
        }
        shared.push(arg.clone());
    }
}

fn flag_table(args: &[Arg]) -> String {
    let mut table = "| flag | value | default | meaning |\n|---|---|---|---|\n".to_owned();
    for arg in args {
        let takes = arg.get_action().takes_values();
        let values: Vec<String> = if takes {
            let names = arg
                .get_possible_values()
                .into_iter()
                .map(|value| format!("`{}`", value.get_name()));
            names.collect()
        } else {
            Vec::new()
        };
        let placeholder =
            arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
        let value = match (takes, values.is_empty(), placeholder) {
            (false, ..) => "-".to_owned(),
            (true, false, _) => values.join(", "),
            (true, true, Some(name)) => escaped(&name),
            (true, true, None) => "text".to_owned(),
        };
        let defaults: Vec<String> = arg
            .get_default_values()
            .iter()
            .map(|value| format!("`{}`", value.to_string_lossy()))
            .collect();
        let default = match (takes, defaults.is_empty()) {
            (false, _) => "off".to_owned(),
            (true, true) if arg.is_required_set() => "must be given".to_owned(),
            (true, true) => "-".to_owned(),
            (true, false) => defaults.join(", "),
        };
        writeln!(table, "| {} | {value} | {default} | {} |", flag(arg), help(arg)).unwrap();
    }
    table
}

fn flag(arg: &Arg) -> String {
    let short = arg.get_short().map(|short| format!("`-{short}`"));
    let long = arg.get_long().map(|long| format!("`--{long}`"));
    let names: Vec<String> = short.into_iter().chain(long).collect();
    match names.is_empty() {
        false => names.join(", "),
        true => {
            format!("`{}`", escaped(arg.get_value_names().map_or("", |names| names[0].as_str())))
        }
    }
}

fn help(arg: &Arg) -> String {
    let help =
        arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut text = sentence(&help);
    if !arg.get_possible_values().is_empty() && arg.get_action().takes_values() {
        for value in arg.get_possible_values() {
            if let Some(help) = value.get_help() {
                text += &format!(" `{}`: {}", value.get_name(), sentence(&help.to_string()));
            }
        }
    }
    escaped(&text)
}

/// Returns the text as one line with a full stop at the end, which clap removes.
fn sentence(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.ends_with(['.', ':']) { text } else { format!("{text}.") }
}

/// Escapes text for a table cell.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Wraps text at 120 columns.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().unwrap();
        if line.is_empty() {
            *line = word.to_owned();
        } else if line.chars().count() + 1 + word.chars().count() <= 120 {
            *line += &format!(" {word}");
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n")
}

/// A field of a settings struct, as written in the source.
struct Field {
    name: String,
    kind: String,
    doc: String,
    has_default: bool,
}

impl Field {
    fn unit(&self) -> &'static str {
        let kind = self.kind.trim_start_matches("Option<").trim_end_matches('>');
        let from_one = kind.starts_with("NonZero");
        match kind {
            "bool" => "`true`, `false`",
            "PathBuf" => "path",
            "String" => "text",
            "Vec<String" => "list of texts",
            "NonZeroU8" => "1 to 255",
            "NonZeroU16" => "1 to 65,535",
            _ if self.name.ends_with("_ms") && from_one => "milliseconds, at least 1",
            _ if self.name.ends_with("_ms") => "milliseconds",
            _ if self.name.contains("bytes") && from_one => "bytes, at least 1",
            _ if self.name.contains("bytes") => "bytes",
            _ if from_one => "number, at least 1",
            "u64" | "usize" => "number",
            other => panic!("{}: what is the unit of `{other}`?", self.name),
        }
    }
}

/// Reads the fields of a struct from a source file, with their comments.
fn fields(source: &str, name: &str) -> Vec<Field> {
    let begin = format!("struct {name} {{\n");
    let (_, body) = source.split_once(&begin).unwrap_or_else(|| panic!("no struct {name}"));
    let (body, _) = body.split_once("\n}").unwrap();
    let (mut found, mut doc, mut has_default) = (Vec::new(), String::new(), false);
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            doc = format!("{doc} {}", text.trim()).trim().to_owned();
        } else if line.starts_with("#[") {
            assert_eq!(line, "#[serde(default)]", "the page takes a key for the name of its field");
            has_default = true;
        } else if let Some((name, kind)) = line.trim_end_matches(',').split_once(": ") {
            let name = name.trim_start_matches("pub(crate) ").to_owned();
            let doc = std::mem::take(&mut doc);
            found.push(Field {
                name,
                kind: kind.to_owned(),
                doc,
                has_default: std::mem::take(&mut has_default),
            });
        }
    }
    assert!(!found.is_empty(), "struct {name} has no fields");
    found
}

/// The defaults of a broker, from its `Debug` form, so that no default is written twice.
struct Defaults {
    top: String,
    classic: String,
    limits: String,
}

impl Defaults {
    fn of_the_broker() -> Self {
        let broker::Config { limits, classic, .. } = broker::Config::default();
        let (limits, classic) = (format!("{limits:?}"), format!("{classic:?}"));
        let top =
            format!("{:?}", broker::Config::default()).replace(&limits, "").replace(&classic, "");
        Defaults { top, classic, limits }
    }

    fn of(&self, table: &str, field: &Field) -> String {
        let text = match table {
            "" => &self.top,
            "classic" => &self.classic,
            "limits" => &self.limits,
            _ => "",
        };
        let key = field.name.trim_end_matches("_ms");
        let value = text.split_once(&format!(" {key}: ")).map(|(_, rest)| rest);
        let value = value
            .map(|rest| rest.trim_start_matches("Span(").split([',', ')', ' ']).next().unwrap());
        match (value, field.kind.as_str(), field.has_default) {
            (Some(value), _, _) if value != "None" => value.to_owned(),
            (_, "bool", true) => "false".to_owned(),
            (_, "Vec<String>", true) => "`[]`".to_owned(),
            (_, kind, false) if !kind.starts_with("Option<") => "must be given".to_owned(),
            _ => "-".to_owned(),
        }
    }
}
