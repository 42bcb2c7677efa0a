//! The golden vectors of `docs/vectors` hold for this crate, in both directions.
//!
//! `UPDATE_GOLDENS=1 cargo test -p mdp-protocol --test vectors` writes the bytes of the vectors anew
//! from their records; nothing else does.

// A test names its fault by failing, and its bytes are its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod vector_files;

use std::collections::BTreeSet;
use std::fs;

use mdp_protocol::wire::{
    Command, DisconnectReason, Flags, Head, Record, RecordError, WireError, decode,
};
use mdp_protocol::{Limit, Limits, Reason};
use vector_files::{File, Vector, dump::dump, load, load_vectors, text};

#[test]
fn the_bytes_are_those_of_the_records() {
    let update = std::env::var_os("UPDATE_GOLDENS").is_some_and(|value| value == "1");
    for file in load() {
        let written = write(&file);
        if update {
            fs::write(&file.path, &written).unwrap();
        }
        let found = fs::read_to_string(&file.path).unwrap();
        assert_eq!(
            found,
            written,
            "{}: encoding its records gives other bytes; if that is meant, run with \
             UPDATE_GOLDENS=1",
            file.path.display()
        );
    }
}

/// The file as it is to be: the bytes made from the records, where a writer makes them.
fn write(file: &File) -> String {
    let content = fs::read_to_string(&file.path).unwrap();
    let mut out = file.preamble.clone();
    for (place, (head, vector)) in file.blocks.iter().enumerate() {
        if vector.decode_only || !vector.is_good() {
            out.push_str(raw_block(&content, &vector.name));
            continue;
        }
        let (mut packet, mut frames, mut heads) = (Vec::new(), Vec::new(), Vec::new());
        for record in &vector.records {
            text::encode(record, &mut packet, &mut frames);
        }
        let lens: Vec<usize> = frames.iter().map(Vec::len).collect();
        decode(&packet, &lens, &vector.limits, &mut heads).unwrap();
        out.push_str(head);
        out.push_str(&dump(&packet, &heads, &frames));
        if place + 1 < file.blocks.len() {
            out.push('\n');
        }
    }
    out
}

/// A block as it stands, with the empty line behind it.
fn raw_block<'a>(content: &'a str, name: &str) -> &'a str {
    let start = content.find(&format!("name: {name}\n")).unwrap();
    let rest = &content[start..];
    let end = rest.find("\nname: ").map_or(rest.len(), |end| end + 1);
    &rest[..end]
}

#[test]
fn the_records_are_those_of_the_bytes() {
    for vector in load_vectors().iter().filter(|vector| vector.is_good()) {
        let heads = heads(vector).unwrap_or_else(|e| panic!("{}: {e}", vector.name));
        let found: Vec<String> = heads
            .iter()
            .map(|head| text::render(head, &vector.packet, &vector.frames).unwrap())
            .collect();
        assert_eq!(found, vector.records, "{}", vector.name);
    }
}

#[test]
fn what_is_decoded_encodes_to_the_same_bytes() {
    for vector in load_vectors().iter().filter(|vector| vector.is_good() && !vector.decode_only) {
        let (mut packet, mut frames) = (Vec::new(), Vec::new());
        for head in heads(vector).unwrap() {
            let line = text::render(&head, &vector.packet, &vector.frames).unwrap();
            text::encode(&line, &mut packet, &mut frames);
        }
        assert_eq!(packet, vector.packet, "{}", vector.name);
        assert_eq!(frames, vector.frames, "{}", vector.name);
    }
}

#[test]
fn what_is_refused_says_why_in_these_words() {
    for vector in load_vectors().iter().filter(|vector| !vector.is_good()) {
        let (message, answer) = match heads(vector) {
            Err(error) => (error.to_string(), reason_of(&error)),
            Ok(heads) => {
                let error = heads.iter().find_map(|head| record_error(head, &vector.packet));
                let error = error.unwrap_or_else(|| panic!("{}: nothing is wrong", vector.name));
                (error.to_string(), DisconnectReason::from(error))
            }
        };
        assert_eq!(Some(message), vector.error, "{}", vector.name);
        let answer = format!("DISCONNECT reason={} versions=1", answer.as_u32());
        assert_eq!(Some(answer), vector.answer, "{}", vector.name);
    }
}

fn heads(vector: &Vector) -> Result<Vec<Head>, WireError> {
    let mut heads = Vec::new();
    decode(&vector.packet, &vector.frame_lens(), &vector.limits, &mut heads)?;
    Ok(heads)
}

fn record_error(head: &Head, packet: &[u8]) -> Option<RecordError> {
    Record::read(head, packet, |_| ()).err()
}

/// wire.md R55: what a message that cannot be read is answered with.
fn reason_of(error: &WireError) -> DisconnectReason {
    match error {
        WireError::Version(_) => DisconnectReason::Version,
        _ => DisconnectReason::Malformed,
    }
}

#[test]
fn each_command_flag_reason_and_error_has_a_vector() {
    let vectors = load_vectors();
    let mut commands = BTreeSet::new();
    let mut flags = 0;
    let mut reasons = BTreeSet::new();
    let mut errors = BTreeSet::new();
    for vector in &vectors {
        match heads(vector) {
            Err(error) => {
                errors.insert(variant(&error));
            }
            Ok(heads) => {
                for head in heads {
                    commands.insert(head.command);
                    flags |= head.flags.as_u8();
                    if head.command() == Some(Command::Disconnect) {
                        reasons.insert(head.arg);
                    }
                    if let Some(error) = record_error(&head, &vector.packet) {
                        errors.insert(variant(&error));
                    }
                }
            }
        }
    }
    let missing: Vec<&str> = (0..=255)
        .filter_map(Command::from_u8)
        .filter(|command| !commands.contains(&(*command as u8)))
        .map(Command::name)
        .collect();
    assert_eq!(missing, [""; 0], "commands without a vector");
    assert_eq!(flags, 0xff, "flags without a vector: {:#04x}", !flags);
    let known =
        (0..1_000).filter(|n| DisconnectReason::from_u32(*n) != DisconnectReason::Other(*n));
    let missing: Vec<u32> = known.filter(|number| !reasons.contains(number)).collect();
    assert_eq!(missing, [0; 0], "reasons without a vector");
    let all = [
        "NoRecord",
        "PayloadFrame",
        "Signature",
        "SpareFrames",
        "TooMuch",
        "Truncated",
        "UnknownCommand",
        "Version",
    ];
    assert_eq!(errors, all.map(String::from).into(), "errors with and without a vector");
}

/// The name of the enum's variant.
fn variant(error: &impl std::fmt::Debug) -> String {
    let text = format!("{error:?}");
    text.split([' ', '(', '{']).next().unwrap().into()
}

#[test]
fn each_vector_has_a_name_of_its_own_that_wire_md_lists() {
    let paper = fs::read_to_string(vector_files::docs().join("wire.md")).unwrap();
    let mut names = BTreeSet::new();
    for file in load() {
        let name = file.path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(paper.contains(&format!("(vectors/{name})")), "wire.md does not link {name}");
        for (_, vector) in &file.blocks {
            assert!(names.insert(vector.name.clone()), "`{}` is there twice", vector.name);
            let listed = paper.contains(&format!("`{}`", vector.name));
            assert!(listed, "wire.md does not list `{}`", vector.name);
            let directions = ["peer to broker", "client to broker", "worker to broker"];
            let back = ["broker to peer", "broker to client", "broker to worker", "any"];
            let known = directions.iter().chain(&back).any(|one| *one == vector.direction);
            assert!(known, "{}: direction `{}`", vector.name, vector.direction);
        }
    }
}

#[test]
fn wire_md_states_the_limits_reasons_and_codes_as_they_are() {
    let paper = fs::read_to_string(vector_files::docs().join("wire.md")).unwrap();
    for (limit, default) in limits() {
        let row = format!("| `{limit}` | {default} |");
        assert!(paper.contains(&row), "wire.md has no line `{row}`");
    }
    // It refuses nothing, so there is no `Limit` for it.
    let row = format!("| `window` | {}, at least", Limits::default().window);
    assert!(paper.contains(&row), "wire.md has no line `{row}`");
    let reasons = (1..).map(DisconnectReason::from_u32);
    let known: Vec<_> =
        reasons.take_while(|reason| !matches!(reason, DisconnectReason::Other(_))).collect();
    assert!(known.len() >= 13, "{known:?}");
    for reason in known {
        let row = format!("| {} | {reason:?} |", reason.as_u32());
        assert!(paper.contains(&row), "wire.md has no line `{row}`");
    }
    let errors = fs::read_to_string(vector_files::docs().join("errors.md")).unwrap();
    for reason in Reason::ALL.map(Reason::name) {
        assert!(paper.contains(&format!("| {reason} |")), "wire.md has no line for {reason}");
        assert!(errors.contains(&format!("| `{reason}` |")), "errors.md has no line for {reason}");
    }
    for command in (0..=255).filter_map(Command::from_u8) {
        let row = format!("| {} | {command} |", command as u8);
        assert!(paper.contains(&row), "wire.md has no line `{row}`");
    }
    for (flag, name) in FLAGS {
        let row = format!("| {:#04x} | {name} |", flag.as_u8());
        assert!(paper.contains(&row), "wire.md has no line `{row}`");
    }
}

const FLAGS: [(Flags, &str); 9] = [
    (Flags::END, "END"),
    (Flags::IDEMPOTENT, "IDEMPOTENT"),
    (Flags::META, "META"),
    (Flags::OUT, "OUT"),
    (Flags::RAW, "RAW"),
    (Flags::COMPRESSED, "COMPRESSED"),
    (Flags::PEER, "PEER"),
    (Flags::NOT_STARTED, "NOT_STARTED"),
    (Flags::REPLIES, "REPLIES"),
];

fn limits() -> [(Limit, String); 16] {
    let Limits {
        frame_bytes,
        frames,
        records,
        sessions,
        services,
        unserved_services,
        services_per_worker,
        registrations,
        queued_calls_per_service,
        queued_bytes_per_service,
        held_bytes,
        unread_bytes_per_session,
        unread_bytes,
        calls_per_client,
        calls,
        capacity,
        attempts: _,
        unanswered: _,
        schemas: _,
        schema_bytes: _,
        methods: _,
        window: _,
        incomplete_bytes: _,
    } = Limits::default();
    let number = |n: usize| n.to_string();
    [
        (Limit::FrameBytes, number(frame_bytes)),
        (Limit::Frames, number(frames)),
        (Limit::Records, number(records)),
        (Limit::Sessions, number(sessions)),
        (Limit::Services, number(services)),
        (Limit::UnservedServices, number(unserved_services)),
        (Limit::ServicesPerWorker, number(services_per_worker)),
        (Limit::Registrations, number(registrations)),
        (Limit::QueuedCallsPerService, number(queued_calls_per_service)),
        (Limit::QueuedBytesPerService, number(queued_bytes_per_service)),
        (Limit::HeldBytes, number(held_bytes)),
        (Limit::UnreadBytesPerSession, number(unread_bytes_per_session)),
        (Limit::UnreadBytes, number(unread_bytes)),
        (Limit::CallsPerClient, number(calls_per_client)),
        (Limit::Calls, number(calls)),
        (Limit::Capacity, number(capacity as usize)),
    ]
}

#[test]
fn the_rules_of_wire_md_are_numbered_without_a_gap() {
    let paper = fs::read_to_string(vector_files::docs().join("wire.md")).unwrap();
    let rules: Vec<u32> = paper.lines().filter_map(rule).collect();
    let expected: Vec<u32> = (1..=rules.len() as u32).collect();
    assert!(rules.len() > 50, "only {} rules found", rules.len());
    assert_eq!(rules, expected);
}

/// The number of the rule that a line of wire.md begins.
fn rule(line: &str) -> Option<u32> {
    line.strip_prefix("**R")?.split_once('.')?.0.parse().ok()
}
