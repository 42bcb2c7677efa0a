//! Every truncation and every single-byte change of every golden vector.
//!
//! All of them are decoded, in every build. What comes out is fed to the machines once for each
//! golden vector and role: a machine is a function of its state and its input, so the same records a
//! second time show nothing new. A debug build, which recounts the broker's tables after each step,
//! feeds some of the 255 changes of a byte; a release build feeds all of them.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use mdp_protocol::Limits;

use crate::machines::{Heard, ROLES, World, feed_client, feed_worker, hear};
use crate::vector_files::{Vector, load_vectors};

#[test]
fn every_truncation_leaves_the_machines_alive() {
    for_each_vector(|vector, fed| {
        for len in 0..=vector.packet.len() {
            feed(fed, &hear(&vector.packet[..len], &vector.frame_lens(), &Limits::default()));
        }
    });
}

#[test]
fn every_single_byte_change_leaves_the_machines_alive() {
    let changes = AtomicUsize::new(0);
    for_each_vector(|vector, fed| {
        let mut packet = vector.packet.clone();
        let frames = vector.frame_lens();
        for at in 0..packet.len() {
            let was = packet[at];
            for byte in (0..=255).filter(|byte| *byte != was) {
                packet[at] = byte;
                let heard = hear(&packet, &frames, &Limits::default());
                if !cfg!(debug_assertions) || is_telling(was, byte) {
                    feed(fed, &heard);
                }
                changes.fetch_add(1, Ordering::Relaxed);
            }
            packet[at] = was;
        }
    });
    let bytes: usize = load_vectors().iter().map(|vector| vector.packet.len()).sum();
    assert_eq!(changes.into_inner(), bytes * 255);
}

#[test]
fn every_change_of_the_payload_frames_leaves_the_machines_alive() {
    for_each_vector(|vector, fed| {
        let frames = vector.frame_lens();
        let mut changed = vec![[&frames[..], &[0]].concat(), [&[0], &frames[..]].concat()];
        for at in 0..frames.len() {
            let mut fewer = frames.clone();
            fewer.remove(at);
            changed.push(fewer);
            for len in [0, frames[at] - 1, frames[at] + 1, usize::MAX] {
                let mut other = frames.clone();
                other[at] = len;
                changed.push(other);
            }
        }
        for frames in changed {
            let heard = hear(&vector.packet, &frames, &Limits::default());
            let refused = heard.iter().all(Result::is_err);
            assert!(refused || !vector.is_good(), "{}: {frames:?}", vector.name);
            feed(fed, &heard);
        }
    });
}

/// Whether a change is one that a debug build feeds too: one bit, or one more or less, or an end of
/// the range, or a byte that names do not have.
fn is_telling(was: u8, byte: u8) -> bool {
    (was ^ byte).is_power_of_two()
        || [was.wrapping_add(1), was.wrapping_sub(1), 0, 0xff, b' ', b'/', 0x7f].contains(&byte)
}

/// What was fed already, as text.
type Fed = HashSet<String>;

fn feed(fed: &mut Fed, heard: &[Heard<'_>]) {
    if !fed.insert(format!("{heard:?}")) {
        return;
    }
    for role in ROLES {
        let mut world = World::with(role);
        world.bad(heard);
        world.assert_alive();
        world.assert_ends(role);
    }
    feed_client(heard);
    feed_worker(heard);
}

/// Runs `check` for every vector, on two threads. A failure names the vector.
fn for_each_vector(check: impl Fn(&Vector, &mut Fed) + Sync) {
    let vectors = Mutex::new(load_vectors());
    let work = || {
        loop {
            let Some(vector) = vectors.lock().unwrap().pop() else { return };
            eprintln!("vector {}", vector.name); // shown if the test fails
            check(&vector, &mut Fed::new());
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
}
