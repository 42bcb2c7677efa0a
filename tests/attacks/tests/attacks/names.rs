//! Names: those that are the broker's, those that are none, and very many of them.

use mdp_protocol::wire::DisconnectReason;
use mdp_protocol::{Code, Span, names};

use crate::cluster::{Target, dealer};
use crate::raw::{Raw, RawPeer, hello, packet, ready};
use crate::replies::{Chance, request};
use crate::{count, rate, report, together};

const MIB: u64 = 1 << 20;

/// A10: what begins with `mmi.` is the broker's, and nothing else is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a10_nobody_registers_under_the_brokers_names() {
    let _turn = together().await;
    let mut target = Target::start();
    let _worker = target.worker(8).await;
    let endpoint = target.endpoint.clone();
    let attack = tokio::task::spawn_blocking(move || {
        let refused: [&[u8]; 10] = [
            b"mmi.",
            b"mmi.service",
            b"mmi.services",
            b"mmi.counters",
            b"mmi.anything",
            b"mmi..",
            b"mmi.\0",
            b"mmi.service\0",
            b"\0mmi.service",
            b"",
        ];
        // Titanic (RFC 9) is not served here, so its names are nobody's.
        let allowed: [&[u8]; 10] = [
            b"MMI.",
            b"MMI.service",
            b"mmi",
            b"xmmi.",
            b"mm.i.",
            b"Mmi.service",
            b"titanic.request",
            b"_",
            b"_internal",
            b"mmi-service",
        ];
        let names = refused.iter().map(|name| (name, true));
        let names: Vec<_> = names.chain(allowed.iter().map(|name| (name, false))).collect();
        // All of them speak, and then each hears what it is told: READY has no answer but the next HEARTBEAT.
        let mut classic = Vec::new();
        for (name, is_refused) in names {
            let offer =
                Raw::Ready { service: name.to_vec(), capacity: 1, shared: false, schema: None };
            let mut worker = RawPeer::greeted(&endpoint);
            worker.send(&[offer, Raw::Drain]);
            let said = worker.wait(|record| match record {
                Raw::Disconnect(reason) => Some(Some(*reason)),
                Raw::Drain => Some(None),
                _ => None,
            });
            let wanted = is_refused.then_some(DisconnectReason::BadName);
            assert_eq!(said, wanted, "{}", name.escape_ascii());
            for (head, gone) in
                [(&[b"MDPW02".as_slice()][..], b"\x06"), (&[b"", b"MDPW01"], b"\x05")]
            {
                let worker = dealer(&endpoint);
                worker.send_multipart([head, &[b"\x01", name]].concat(), 0).unwrap();
                classic.push((worker, name, is_refused, gone));
            }
        }
        for (worker, name, is_refused, gone) in classic {
            let said = worker.recv_multipart(0).unwrap();
            let told_to_go = said.last().unwrap() == gone;
            assert_eq!(told_to_go, is_refused, "{}: {said:?}", name.escape_ascii());
        }
    });
    attack.await.unwrap();
    target.serves().await;
}

/// A11: a name that nobody serves is forgotten with the calls that wait for it, and not many wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a11_unknown_names_leave_nothing() {
    let _turn = together().await;
    let mut target = Target::start();
    let _worker = target.worker(8).await;
    target.serves().await;
    let calls = rate(1_000_000);
    ask_for_unknown(&target, calls / 10, 0).await;
    let before = target.memory();
    let max = ask_for_unknown(&target, calls, calls).await;
    let grown = target.memory().saturating_sub(before);
    report(&format!(
        "a11: {calls} unknown names: {max} waited at the most, memory + {} KiB",
        grown / 1024
    ));
    assert!(grown <= 5 * MIB, "{grown}");
    assert!(max <= 1 + 128, "{max}");
    target.until("services", |services| services == 1).await;
    target.until("queued", |queued| queued == 0).await;
    target.serves().await;
}

/// Each call has an end. The most services that there were on the way.
async fn ask_for_unknown(target: &Target, calls: u64, first: u64) -> u64 {
    const PACKET: u64 = 250;
    /// The most answers that are not read yet.
    const UNREAD: u64 = 20_000;
    let endpoint = target.endpoint.clone();
    let flood = tokio::task::spawn_blocking(move || {
        let (mut client, mut chance) = (RawPeer::greeted(&endpoint), Chance(1 + first));
        let (mut open, mut unserved) = (0, 0);
        let mut hear = |client: &mut RawPeer| match client.wait_final().code {
            Code::ResourceExhausted => {}
            Code::Unavailable | Code::DeadlineExceeded => unserved += 1,
            code => panic!("{code:?}"),
        };
        for packet in 0..calls / PACKET {
            let numbers = packet * PACKET..(packet + 1) * PACKET;
            let asks = numbers.map(|number| {
                // The wait for a worker, 5 s, is longer than the flood of the first hundreds.
                request(number, &format!("n{:x}/Do", chance.next()), Span::from_secs(2))
            });
            client.send(&asks.collect::<Vec<_>>());
            // Whoever does not read is cut off.
            while open + PACKET > UNREAD {
                hear(&mut client);
                open -= 1;
            }
            open += PACKET;
        }
        (0..open).for_each(|_| hear(&mut client));
        assert!(unserved >= 128, "{unserved} waited");
    });
    let mut max = 0;
    while !flood.is_finished() {
        max = max.max(target.counter("services"));
        tokio::time::sleep(crate::ms(50)).await;
    }
    flood.await.unwrap();
    max
}

/// A15: a name is 1 to 255 bytes of printable ASCII without spaces, for each dialect and in each place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a15_names_that_are_none_are_refused() {
    let _turn = together().await;
    let mut target = Target::start();
    let _worker = target.worker(8).await;
    let (endpoint, tries) = (target.endpoint.clone(), count(10_000));
    let attack = tokio::task::spawn_blocking(move || {
        let mut chance = Chance(15);
        let mut peer = RawPeer::connect(&endpoint);
        let (mut good, mut bad) = (0, 0);
        for _ in 0..tries {
            let name = odd_name(&mut chance);
            let fine = names::check(&name).is_ok() && !name.starts_with(b"mmi.");
            if name.len() <= names::MAX_NAME {
                peer.send(&[
                    hello(),
                    Raw::Ready { service: name.clone(), capacity: 1, shared: false, schema: None },
                ]);
                peer.send(&[Raw::Disconnect(DisconnectReason::Shutdown), Raw::Heartbeat]);
                let said = peer.wait_disconnect();
                let wanted =
                    if fine { DisconnectReason::NoSession } else { DisconnectReason::BadName };
                assert_eq!(said, wanted, "{}", name.escape_ascii());
                if !fine {
                    assert_eq!(peer.wait_disconnect(), DisconnectReason::NoSession);
                }
            }
            if fine { good += 1 } else { bad += 1 }
        }
        // Over classic MDP a name may have any length; what is none gets no answer.
        let client = dealer(&endpoint);
        for _ in 0..tries {
            let name = odd_name(&mut chance);
            if names::check(&name).is_err() && !name.starts_with(b"mmi.") {
                client.send_multipart([b"MDPC02".as_slice(), b"\x01", &name, b"body"], 0).unwrap();
            }
        }
        client.send_multipart(["MDPC02", "\x01", "mmi.service", "nobody"], 0).unwrap();
        assert_eq!(client.recv_multipart(0).unwrap().last().unwrap(), b"404");
        (good, bad)
    });
    let (good, bad) = attack.await.unwrap();
    assert!(good > 0 && bad > 0);
    target.until("services", |services| services == 1).await;
    target.serves().await;
    report(&format!("a15: {tries} names, {good} good ones, {bad} bad ones refused"));
}

/// Mostly printable, of up to 300 bytes, with now and then a byte of any kind.
fn odd_name(chance: &mut Chance) -> Vec<u8> {
    let (len, odd) = (chance.next() % 300, chance.next() % 3);
    let byte = |dice: u64| match dice >> 32 & 0x3f {
        0 if odd > 0 => dice as u8,
        1 if odd > 1 => b" \n\x1b\0\x7f\xff"[dice as usize % 6],
        _ => b"abcXYZ019._-/"[dice as usize % 13],
    };
    (0..len).map(|_| byte(chance.next())).collect()
}

/// What the tests of this file take for granted.
#[test]
fn a_name_of_the_greatest_length_can_be_said() {
    let whole = packet(&[ready(&"x".repeat(names::MAX_NAME), 1)]);
    assert_eq!(whole.len(), 2 + 20 + names::MAX_NAME);
}
