//! Pushers, pullers and pairs.

use super::*;

#[tokio::test]
async fn pullers_get_equal_shares() {
    let (mut pusher, endpoint) = bound(Pattern::Pusher, 100);
    assert!(!sends(&mut pusher, "nobody is there"));
    let mut pullers = [(); 3].map(|()| connected(Pattern::Puller, 100, &endpoint));
    let mut number = 0;
    let [one, two, three] = &mut pullers;
    // Who is there first gets the first ones.
    let mut heard = [false; 3];
    until([&mut pusher, one, two, three], |[pusher, one, two, three]| {
        number += u32::from(sends(pusher, "first"));
        for (puller, heard) in [one, two, three].into_iter().zip(&mut heard) {
            *heard |= received(puller).is_some();
        }
        (heard == [true; 3]).then_some(())
    })
    .await;
    for _ in 0..150 {
        assert!(sends(&mut pusher, "then"));
    }
    let mut counts = [0; 3];
    let [one, two, three] = &mut pullers;
    until([&mut pusher, one, two, three], |[_, one, two, three]| {
        for (puller, count) in [one, two, three].into_iter().zip(&mut counts) {
            while let Some(text) = received(puller) {
                *count += u32::from(text == "then");
            }
        }
        (counts.iter().sum::<u32>() == 150).then_some(())
    })
    .await;
    assert_eq!(counts, [50; 3]);
}

/// A puller that reads slowly is passed over. When no puller has room, the pusher waits.
#[tokio::test]
async fn a_pusher_without_room_waits() {
    for endpoint in [TCP, "ipc://*", "inproc://room"] {
        let context = Context::with_transport(NATIVE);
        let mut pusher = plain(&context, Pattern::Pusher, 3);
        let endpoint = pusher.bind(endpoint).unwrap();
        let mut puller = plain(&context, Pattern::Puller, 3);
        puller.connect(&endpoint).unwrap();
        let large = Bytes::from(vec![1; 100_000]);
        let mut sent = 0;
        until([&mut pusher, &mut puller], |[pusher, _]| {
            sent += u32::from(pusher.send(None, &large).unwrap());
            (sent > 0).then_some(())
        })
        .await;
        // From now on nobody reads.
        let wanted = Wanted { message: false, room: true };
        while timeout(SHORT, pusher.ready(wanted)).await.is_ok() {
            sent += u32::from(pusher.send(None, &large).unwrap());
            assert!(sent < 10_000);
        }
        assert!(!pusher.send(None, &large).unwrap());
        let mut heard = 0;
        until([&mut pusher, &mut puller], |[_, puller]| {
            heard += u32::from(puller.receive().unwrap().is_some());
            (heard == sent).then_some(())
        })
        .await;
        assert!(pusher.send(None, &large).unwrap());
        until([&mut pusher, &mut puller], |[_, puller]| puller.receive().unwrap()).await;
    }
}

#[tokio::test]
async fn a_puller_hears_all_pushers_in_turn() {
    let (mut puller, endpoint) = bound(Pattern::Puller, 100);
    let mut pushers = [(); 2].map(|()| connected(Pattern::Pusher, 100, &endpoint));
    for (pusher, name) in pushers.iter_mut().zip(["one", "two"]) {
        until([&mut puller, pusher], |[_, pusher]| sends(pusher, name).then_some(())).await;
        for _ in 0..9 {
            assert!(sends(pusher, name));
        }
        moves(pusher, Duration::from_millis(20)).await;
    }
    let mut order = Vec::new();
    until([&mut puller], |[puller]| {
        // One at a time: meanwhile the other connection is read, too.
        order.extend(received(puller));
        (order.len() == 20).then_some(())
    })
    .await;
    let firsts = &order[..10];
    assert!(firsts.contains(&"one".into()) && firsts.contains(&"two".into()), "{order:?}");
}

#[tokio::test]
async fn a_pair_has_one_other_side() {
    for (transport, endpoint) in [(NATIVE, TCP), (LIBZMQ, TCP), (NATIVE, "inproc://pair")] {
        let context = Context::with_transport(NATIVE);
        let mut one = plain(&context, Pattern::Pair, 10);
        let endpoint = one.bind(endpoint).unwrap();
        let of_others = match transport {
            NATIVE => context,
            _ => Context::with_transport(transport),
        };
        let [mut first, mut second] = [(); 2].map(|()| plain(&of_others, Pattern::Pair, 10));
        first.connect(&endpoint).unwrap();
        until([&mut first, &mut one], |[first, _]| sends(first, "first").then_some(())).await;
        hears([&mut first, &mut one], "first").await;
        second.connect(&endpoint).unwrap();
        let begun = Instant::now();
        while begun.elapsed() < SHORT {
            sends(&mut second, "second");
            moves(&mut second, Duration::from_millis(10)).await;
            moves(&mut one, Duration::from_millis(10)).await;
            assert_eq!(received(&mut one), None, "{transport:?}");
        }
        assert!(sends(&mut one, "to the first"));
        hears([&mut one, &mut first], "to the first").await;
        drop(first);
        until([&mut second, &mut one], |[second, one]| {
            sends(second, "second");
            received(one)
        })
        .await;
    }
}
