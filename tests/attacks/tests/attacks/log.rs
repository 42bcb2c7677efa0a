//! The broker's log, which peers must neither write into nor fill.

use std::time::{Duration, Instant};

use mdp_protocol::wire::DisconnectReason;

use crate::cluster::{SERVICE, Target, dealer};
use crate::raw::{Raw, packet};
use crate::replies::{Chance, request};
use crate::{count, ms, report, together};

const HELLO: &str = "2026-01-01T00:00:00Z ERROR forged";

/// A30: what a peer says stands escaped within one line, and a line has an end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a30_no_peer_writes_lines_of_its_own() {
    let _turn = together().await;
    let mut target = Target::start();
    let _worker = target.worker(8).await;
    let endpoint = target.endpoint.clone();
    let attack = tokio::task::spawn_blocking(move || {
        let hostile = [
            format!("a\n{HELLO}"),
            format!("a\r\n{HELLO}\x1b[2J"),
            format!("\x1b]0;x\x07\u{202e}{HELLO}"),
        ];
        for words in &hostile {
            let socket = zmq::Context::new().socket(zmq::DEALER).unwrap();
            socket.set_linger(0).unwrap();
            socket.set_rcvtimeo(30_000).unwrap();
            socket.set_identity(words.as_bytes()).unwrap();
            socket.connect(&endpoint).unwrap();
            let ready = Raw::Ready {
                service: words.as_bytes().to_vec(),
                capacity: 1,
                shared: false,
                schema: None,
            };
            let id = words.as_bytes().to_vec();
            let hello = Raw::Hello { id, heartbeat: mdp_protocol::Span::from_secs(1), liveness: 3 };
            for frames in [
                vec![packet(&[hello])],
                vec![packet(&[crate::raw::hello(), ready])],
                vec![words.clone().into_bytes()],
            ] {
                socket.send_multipart(frames, 0).unwrap();
                socket.recv_multipart(0).unwrap();
            }
            socket.send_multipart(["MDPW02", "\x01", words], 0).unwrap();
            socket.recv_multipart(0).unwrap();
            socket.send_multipart(["MDPC02", "\x09", words], 0).unwrap();
        }
        // As long as a name can be.
        let long = "\u{7f}".repeat(255);
        let socket = zmq::Context::new().socket(zmq::DEALER).unwrap();
        socket.set_linger(0).unwrap();
        socket.set_rcvtimeo(30_000).unwrap();
        socket.set_identity(long.as_bytes()).unwrap();
        socket.connect(&endpoint).unwrap();
        socket.send("no message", 0).unwrap();
        socket.recv_multipart(0).unwrap();
    });
    attack.await.unwrap();
    target.serves().await;
    let lines = target.process.error_lines();
    assert!(lines.iter().any(|line| line.contains("message dropped")), "{lines:?}");
    for line in &lines {
        assert!(!line.starts_with("2026-01-01") && !line.contains('\x07'), "{line:?}");
        // The colours of the program itself aside.
        assert!(!line.contains("\x1b[2J") && !line.contains("\x1b]"), "{line:?}");
        assert!(!line.contains('\u{202e}') && !line.contains('\u{7f}'), "{line:?}");
        assert!(line.len() < 2_000, "{} bytes", line.len());
    }
}

/// A30: of lines that a peer can cause there are so many in a second and no more; nor does it add names to what is counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a30_no_peer_fills_the_log() {
    let _turn = together().await;
    let mut target = Target::start();
    let _worker = target.worker(8).await;
    target.serves().await;
    let before = target.counters();
    let (endpoint, names) = (target.endpoint.clone(), count(100_000));
    let begun = Instant::now();
    let attack = tokio::task::spawn_blocking(move || {
        let (socket, mut chance) = (dealer(&endpoint), Chance(30));
        let drain = || while socket.recv_multipart(zmq::DONTWAIT).is_ok() {};
        for number in 0..names {
            let odd = format!("odd-{:x}", chance.next());
            let records = [
                crate::raw::hello(),
                crate::raw::ready(&odd, 1),
                crate::raw::ready(SERVICE, u32::MAX), // beyond a limit, and the end of the session
            ];
            match number % 4 {
                0 => socket.send(packet(&records), 0).unwrap(),
                1 => socket.send(format!("no message {odd}").as_bytes(), 0).unwrap(),
                2 => socket.send_multipart(["MDPC02", "\x09", &odd], 0).unwrap(),
                _ => {
                    let wait = mdp_protocol::Span::from_secs(1);
                    let asks = [crate::raw::hello(), request(number, &format!("{odd}/Do"), wait)];
                    socket.send(packet(&asks), 0).unwrap();
                    let bye = packet(&[Raw::Disconnect(DisconnectReason::Shutdown)]);
                    socket.send(bye, 0).unwrap();
                }
            }
            drain();
        }
        socket.send_multipart(["MDPC02", "\x01", "mmi.service", "nobody"], 0).unwrap();
        while socket.recv_multipart(0).unwrap().last().unwrap() != b"404" {}
    });
    attack.await.unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    // Its lines have been read when one of a later time has.
    tokio::time::sleep(ms(300)).await;
    let lines = target.process.error_lines().len();
    let after = target.counters();
    report(&format!("a30: {names} odd names in {seconds:.1} s: {lines} lines in the log"));
    assert_eq!(before.as_object().unwrap().len(), after.as_object().unwrap().len());
    assert_eq!(before["services"], after["services"]);
    // 20 a second of each of ten kinds.
    assert!(lines as f64 <= 200.0 * (seconds + 2.0), "{lines} lines in {seconds} s");
    let patience = Duration::from_secs(20);
    crate::cluster::call(&target.client().await, 0, patience).await.unwrap();
}
