//! The pairs of schemas in the folder `pairs`, whose README.md says how they are written.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use prost_types::FileDescriptorSet;

/// An old and a new schema, and what the new one breaks.
#[derive(Debug)]
pub struct Pair {
    /// What follows `==`.
    pub name: String,
    /// The old schema.
    pub old: FileDescriptorSet,
    /// The new schema.
    pub new: FileDescriptorSet,
    /// The types of the message `Matrix`.
    pub types: Vec<String>,
    /// The files that count as a whole.
    pub files: Vec<String>,
    /// Lines `RULE ELEMENT`.
    pub breaks: Vec<String>,
    /// Lines `LEVEL ELEMENT`.
    pub notes: Vec<String>,
}

/// All pairs, by file and place.
pub fn pairs() -> Vec<Pair> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pairs");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    paths.retain(|path| {
        path.extension().is_some_and(|it| it == "txt") && !path.ends_with("differences.txt")
    });
    paths.sort();
    let texts = paths.iter().map(|path| fs::read_to_string(path).unwrap());
    let all: Vec<Pair> = texts.flat_map(|text| in_file(&text)).collect();
    let mut names: Vec<&str> = all.iter().map(|pair| pair.name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|two| two[0] == two[1]) {
        panic!("two pairs are called {}", twice[0]);
    }
    all
}

/// The pair with this name.
pub fn pair(name: &str) -> Pair {
    pairs().into_iter().find(|pair| pair.name == name).unwrap()
}

fn in_file(text: &str) -> Vec<Pair> {
    let mut pairs = Vec::new();
    // A section's head, and its lines.
    let mut sections: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut name = None;
    for line in text.lines().chain(["== "]) {
        if let Some(next) = line.strip_prefix("== ") {
            pairs.extend(name.replace(next).map(|name| of(name, &std::mem::take(&mut sections))));
        } else if let Some(head) = line.strip_prefix("-- ") {
            sections.push((head, Vec::new()));
        } else if let Some((_, lines)) = sections.last_mut() {
            lines.push(line);
        }
    }
    pairs
}

fn of(name: &str, sections: &[(&str, Vec<&str>)]) -> Pair {
    let lines = |wanted: &str| -> Vec<String> {
        let found = sections.iter().filter(|(head, _)| *head == wanted);
        let lines = found.flat_map(|(_, lines)| lines).filter(|line| !line.is_empty());
        lines.map(|line| (*line).to_owned()).collect()
    };
    let words = |wanted: &str| -> Vec<String> {
        lines(wanted).iter().flat_map(|line| line.split(' ')).map(str::to_owned).collect()
    };
    let types = words("types");
    let mut sides = BTreeMap::from([("old", Vec::new()), ("new", Vec::new())]);
    for (head, lines) in sections {
        let (side, file) = head.split_once(' ').unwrap_or((head, "proto3"));
        let Some(files) = sides.get_mut(side) else {
            assert!(
                ["types", "files", "breaks", "notes"].contains(head),
                "{name}: what is `-- {head}`?"
            );
            continue;
        };
        let text = lines.join("\n");
        files.push(match file {
            "proto2" | "proto3" => {
                let more = matrix(&types, side);
                let head = format!("syntax = \"{file}\"; package a.v1;\n");
                ("a.proto".to_owned(), format!("{head}{text}\n{more}"))
            }
            file => (file.to_owned(), text),
        });
    }
    let compiled = |side| {
        let files: Vec<(&str, &str)> = sides[side]
            .iter()
            .map(|(name, text): &(String, String)| (name.as_str(), text.as_str()))
            .collect();
        crate::compile(&files)
    };
    Pair {
        name: name.to_owned(),
        old: compiled("old"),
        new: compiled("new"),
        files: words("files"),
        breaks: lines("breaks"),
        notes: lines("notes"),
        types,
    }
}

fn matrix(types: &[String], side: &str) -> String {
    let mut fields = String::new();
    let mut number = 0;
    for old in types {
        for new in types {
            let kind = if side == "old" { old } else { new };
            number += 2;
            let name = format!("{old}_to_{new}");
            fields += &format!("  {kind} {name} = {};\n", number - 1);
            fields += &format!("  map<string, {kind}> map_{name} = {number};\n");
        }
    }
    if fields.is_empty() { fields } else { format!("message Matrix {{\n{fields}}}\n") }
}
