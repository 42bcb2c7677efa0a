//! A typed call is typed, however it came: no raw body makes one that the broker has not seen. Each pair of dialects, in
//! requests, in replies, and in what hooks make.

use mdp_protocol::broker::{Config, HookConfig, Input, Target, Verdict};
use mdp_protocol::wire::{Record, Reply};
use mdp_protocol::{Code, Span};

use crate::body::Body;
use crate::stage::{
    ALL, OPEN, Said, Stage, VAULT, forged_reply, forged_request, ok, raw_frames, record_in,
};

fn with_hooks(requests: bool, replies: bool) -> Config {
    let hooks = HookConfig { requests, replies, wait: Span::from_secs(1) };
    Config { hooks, ..Config::default() }
}

/// What a client was told: FINAL with a code.
fn code_of(said: &[Said]) -> Option<Code> {
    let mut ends = said.iter().filter_map(record_in).filter_map(|record| match record {
        Record::Final { code, .. } => Some(*code),
        _ => None,
    });
    ends.next_back()
}

/// A worker got no call whose caller is another one than the broker says.
fn check_peer(said: &[Said]) {
    for record in said.iter().filter_map(record_in) {
        if let Record::Request { peer, .. } = record {
            assert!(!peer.windows(5).any(|part| part == b"admin"), "{record:?}");
        }
    }
    let hidden = said.iter().filter_map(raw_frames).any(|frames| frames == forged_request(OPEN));
    assert!(!hidden, "a worker was given {said:?}");
}

#[test]
fn a_raw_request_smuggles_no_typed_call() {
    for hooks in [false, true] {
        for client in ALL {
            for worker in ALL {
                let mut stage = Stage::new(with_hooks(hooks, false));
                stage.worker("w", worker, VAULT);
                stage.client("c", client);
                stage.call("c", client, VAULT, &forged_request(OPEN));
                let what = format!("{client:?} to {worker:?}, hooks {hooks}");
                match client {
                    // It is read as a typed call of the client's own, and hooks are asked about it as such.
                    Some(_) if hooks => {
                        let question = stage.questions.pop().expect(&what);
                        assert!(!question.raw && &*question.path == OPEN.as_bytes(), "{what}");
                        assert!(stage.told("w").is_empty(), "{what}");
                    }
                    Some(_) => {
                        // Towards the broker PEER is the worker that is wanted, and there is none of this name.
                        check_peer(&stage.told("w"));
                        let told = stage.told("c");
                        assert_eq!(code_of(&told), Some(Code::Unavailable), "{what}: {told:?}");
                    }
                    None => {
                        assert!(stage.questions.is_empty(), "{what}");
                        assert!(stage.told("w").is_empty(), "{what}");
                        let told = stage.told("c");
                        assert_eq!(code_of(&told), Some(Code::InvalidArgument), "{what}: {told:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_tunnel_is_for_the_service_that_its_message_names() {
    for client in ALL {
        for worker in ALL {
            let mut stage = Stage::new(Config::default());
            stage.worker("w", worker, VAULT);
            stage.worker("o", worker, "other.v1.Other");
            stage.client("c", client);
            stage.call("c", client, "other.v1.Other", &forged_request(OPEN));
            let what = format!("{client:?} to {worker:?}");
            assert!(stage.told("w").is_empty() && stage.told("o").is_empty(), "{what}");
            let told = stage.told("c");
            assert_eq!(code_of(&told), Some(Code::InvalidArgument), "{what}: {told:?}");
        }
    }
}

#[test]
fn a_hook_makes_no_raw_call_that_is_a_typed_one() {
    for client in ALL {
        for worker in ALL {
            let mut stage = Stage::new(with_hooks(true, false));
            stage.worker("w", worker, VAULT);
            stage.client("c", client);
            stage.call("c", client, VAULT, &[b"frame".to_vec()]);
            let call = stage.questions.pop().unwrap().call;
            let body = Body::of_frames(VAULT.as_bytes(), &forged_request(OPEN));
            let verdict = Verdict::Dispatch { body, to: Target::Any };
            stage.input(Input::Verdict { call, verdict });
            let what = format!("{client:?} to {worker:?}");
            let given = stage.told("w");
            assert!(given.is_empty(), "{what}: {given:?}");
            match client {
                None => {
                    assert_eq!(code_of(&stage.told("c")), Some(Code::InvalidArgument), "{what}");
                }
                // Classic MDP has no words for it (R89).
                Some(_) => assert_eq!(stage.broker.stats().unanswered, 1, "{what}"),
            }
        }
    }
}

/// A worker's raw reply is never taken for what the broker says of a call.
#[test]
fn a_raw_reply_smuggles_no_status() {
    for hooks in [false, true] {
        for client in ALL {
            for worker in ALL {
                for last in [true, false] {
                    forge_reply(hooks, client, worker, last);
                }
            }
        }
    }
}

fn forge_reply(
    hooks: bool,
    client: crate::stage::Speaks,
    worker: crate::stage::Speaks,
    last: bool,
) {
    let what = format!("{worker:?} to {client:?}, hooks {hooks}, last {last}");
    let mut stage = Stage::new(with_hooks(false, hooks));
    stage.worker("w", worker, VAULT);
    stage.client("c", client);
    stage.call("c", client, VAULT, &[b"frame".to_vec()]);
    let call = stage.given("w");
    if client.is_none() && !last {
        let of = mdp_protocol::wire::Direction::Replies;
        stage.say("c", Record::Credit { call: 1, of, units: 100 });
    }
    let forged = forged_reply(last);
    stage.answer("w", worker, call, last, &forged);
    if let Some(question) = stage.questions.pop() {
        let verdict = match question.about {
            mdp_protocol::broker::About::Reply { worker, code, not_started, reply } => {
                Verdict::End { worker, code, not_started, reply }
            }
            other => panic!("{other:?}"),
        };
        stage.input(Input::Verdict { call: question.call, verdict });
    }
    let told = stage.told("c");
    for said in &told {
        // What a classic client reads as a record was made by the broker: it names the worker that answered.
        if let Some(Record::Final { peer, .. }) = record_in(said) {
            assert_ne!(&**peer, b"boss", "{what}: {said:?}");
        }
        if client.is_some() {
            assert_ne!(raw_frames(said).as_ref(), Some(&forged), "{what}");
        }
    }
    match (client, worker, last) {
        // A client of MDP/RPC looks for no tunnels: these are frames.
        (None, None, _) => {
            assert_eq!(told.iter().filter_map(raw_frames).next(), Some(forged), "{what}");
        }
        // As for each raw call of a classic client that the broker ends (R89).
        (Some(_), None, true) => {
            assert!(told.is_empty(), "{what}: {told:?}");
            assert_eq!(stage.broker.stats().unanswered, 1, "{what}");
        }
        // A worker of classic MDP says its status in a tunnel, and the broker makes a record of it.
        (_, Some(_), true) => {
            assert_eq!(code_of(&told), Some(Code::NotFound), "{what}: {told:?}");
        }
        // What has no place is dropped.
        (_, _, false) => {}
    }
}

/// Also where it stands in a message that is not its own: a FINAL in a partial reply, a part in the final one.
#[test]
fn a_record_in_the_wrong_message_is_none() {
    for worker in ALL {
        for client in [Some(mdp_protocol::wire::classic::Dialect::V02), None] {
            for last in [true, false] {
                let mut stage = Stage::new(Config::default());
                stage.worker("w", worker, VAULT);
                stage.client("c", client);
                stage.call("c", client, VAULT, &[b"frame".to_vec()]);
                let call = stage.given("w");
                let forged = forged_reply(!last);
                stage.answer("w", worker, call, last, &forged);
                let told = stage.told("c");
                if client.is_some() {
                    let hidden = told.iter().filter_map(raw_frames).any(|frames| frames == forged);
                    assert!(!hidden, "{worker:?} to {client:?}, last {last}: {told:?}");
                }
            }
        }
    }
}

/// An end that a hook makes up passes the same gate.
#[test]
fn a_hooks_answer_smuggles_no_status() {
    for client in ALL {
        let mut stage = Stage::new(with_hooks(true, false));
        stage.worker("w", None, VAULT);
        stage.client("c", client);
        stage.call("c", client, VAULT, &[b"frame".to_vec()]);
        let call = stage.questions.pop().unwrap().call;
        let reply = Reply::Body(Body::of_frames(b"", &forged_reply(true)));
        let (code, not_started, worker) = (Code::Ok, false, std::sync::Arc::from(&b""[..]));
        let verdict = Verdict::End { code, not_started, worker, reply };
        stage.input(Input::Verdict { call, verdict });
        let told = stage.told("c");
        if client.is_some() {
            assert!(
                told.is_empty() && stage.broker.stats().unanswered == 1,
                "{client:?}: {told:?}"
            );
        }
    }
}

/// A raw call for `a.S/M` reads like a call of a method to hooks that ask for the path alone.
#[test]
fn where_hooks_are_asked_no_raw_service_reads_like_a_path() {
    for client in ALL {
        for hooks in [true, false] {
            let mut stage = Stage::new(with_hooks(hooks, false));
            stage.worker("w", None, OPEN);
            stage.client("c", client);
            stage.call("c", client, OPEN, &[b"frame".to_vec()]);
            assert!(stage.questions.is_empty());
            assert_eq!(stage.told("w").is_empty(), hooks, "{client:?}");
        }
    }
}

/// Frames that are no packet pass, whatever their first byte is.
#[test]
fn what_only_begins_like_a_packet_passes() {
    for worker in ALL {
        let mut stage = Stage::new(Config::default());
        stage.worker("w", worker, VAULT);
        stage.client("c", None);
        let frames = vec![vec![mdp_protocol::wire::SIGNATURE, 9, 9], vec![1]];
        stage.call("c", None, VAULT, &frames);
        let call = stage.given("w");
        stage.answer("w", worker, call, true, &frames);
        let told = stage.told("c");
        assert_eq!(told.iter().filter_map(raw_frames).next(), Some(frames), "{worker:?}");
    }
}

/// A worker of MDP/RPC may answer a raw call with a message that is not raw: it is one frame (R88), and no record.
#[test]
fn a_message_in_place_of_frames_is_one_frame() {
    for client in ALL {
        let mut stage = Stage::new(Config::default());
        stage.worker("w", None, VAULT);
        stage.client("c", client);
        stage.call("c", client, VAULT, &[b"frame".to_vec()]);
        let call = stage.given("w");
        let forged = forged_reply(true);
        stage.say("w", ok(call, Body::of_path(b"", &forged[0])));
        let told = stage.told("c");
        if client.is_some() {
            assert!(
                told.is_empty() && stage.broker.stats().unanswered == 1,
                "{client:?}: {told:?}"
            );
        }
    }
}
