//! Workers that share their slots between brokers: GRANT and DEMAND (wire.md R107 to R110).

use mdp_protocol::broker::Config;
use mdp_protocol::wire::Record;

use crate::bench::*;

impl Bench {
    /// A session that offers one service with shared slots.
    fn shared(&mut self, name: &str, capacity: u32) {
        self.hello(name);
        self.say(name, Record::Ready { service: b"s.S", capacity, shared: true, schema: None });
    }

    fn grant(&mut self, name: &str, slots: u32, number: u64) {
        self.say(name, Record::Grant { service: b"s.S", slots, number });
    }
}

#[test]
fn a_broker_uses_only_what_it_was_granted() {
    let mut bench = Bench::new(Config::default());
    bench.shared("w", 4);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    assert_eq!(bench.take(), ["w: DEMAND s.S 1"]);
    bench.grant("w", 2, 1);
    assert_eq!(
        bench.take(),
        ["w: GRANT s.S 2 number 1", "w: REQUEST 0v1 s.S/M 10000 ms try 1 peer c"]
    );
    bench.request("c", 2, "s.S/M");
    assert_eq!(bench.take().len(), 1);
    bench.request("c", 3, "s.S/M");
    assert_eq!(bench.take(), ["w: DEMAND s.S 1"]);
    bench.done("w", "0v1");
    let lines = bench.take();
    assert_eq!(lines[0], "c: FINAL 1 OK from w done");
    assert!(lines[1].starts_with("w: REQUEST 2v1 s.S/M"), "{lines:?}");
    assert_eq!(lines[2], "w: DEMAND s.S 0", "none wait any more");
}

#[test]
fn a_smaller_grant_takes_no_running_call_away() {
    let mut bench = Bench::new(Config::default());
    bench.shared("w", 2);
    bench.grant("w", 2, 1);
    bench.hello("c");
    bench.request("c", 1, "s.S/M");
    bench.request("c", 2, "s.S/M");
    bench.take();
    bench.grant("w", 0, 2);
    assert_eq!(bench.take(), ["w: GRANT s.S 0 number 2"]);
    bench.request("c", 3, "s.S/M");
    assert_eq!(bench.take(), ["w: DEMAND s.S 1"]);
    bench.done("w", "0v1");
    assert_eq!(
        bench.take(),
        ["c: FINAL 1 OK from w done"],
        "its slot is not the broker's any more"
    );
    bench.done("w", "1v1");
    bench.take();
    bench.grant("w", 1, 3);
    let lines = bench.take();
    assert!(lines[1].starts_with("w: REQUEST 2v1"), "{lines:?}");
}

/// Each call needs one slot, so as many workers are asked as calls wait.
#[test]
fn demand_is_spread_and_no_worker_is_asked_for_more_than_it_has() {
    let mut bench = Bench::new(Config::default());
    for name in ["u", "v", "w"] {
        bench.shared(name, 2);
    }
    bench.hello("c");
    let mut asked = Vec::new();
    for number in 1..=9 {
        bench.request("c", number, "s.S/M");
        asked.extend(bench.take());
    }
    asked.sort();
    let all = ["u", "v", "w"].map(|name| [1, 2].map(|calls| format!("{name}: DEMAND s.S {calls}")));
    assert_eq!(asked, all.concat(), "6 slots for 9 calls");
    // One that leaves is asked no more, and its share goes to nobody: the others have no more.
    bench.say("u", Record::Drain);
    assert_eq!(bench.take(), ["u: DRAIN"]);
    bench.grant("v", 1, 1);
    let lines = bench.take();
    assert_eq!(lines.len(), 2, "{lines:?}");
    bench.shared("x", 5);
    let mut lines = bench.take();
    lines.sort();
    assert_eq!(lines, ["x: DEMAND s.S 5"], "8 wait, 1 + 2 are asked for");
}

#[test]
fn a_call_for_one_worker_asks_that_one() {
    let mut bench = Bench::new(Config::default());
    bench.shared("v", 3);
    bench.shared("w", 3);
    bench.hello("c");
    for number in 1..=2 {
        bench.request_as("c", number, "s.S/M", 10_000, false, "w");
    }
    assert_eq!(bench.take(), ["w: DEMAND s.S 1", "w: DEMAND s.S 2"]);
    bench.grant("w", 2, 1);
    assert_eq!(bench.take().len(), 3, "the answer, and both calls");
}

#[test]
fn who_grants_what_it_may_not_is_turned_out() {
    let turned_out = |grant: &dyn Fn(&mut Bench)| {
        let mut bench = Bench::new(Config::default());
        bench.worker("own", "t.T", 1);
        bench.shared("w", 2);
        bench.take();
        grant(&mut bench);
        bench.take().iter().any(|line| line.contains("DISCONNECT"))
    };
    assert!(!turned_out(&|bench| bench.grant("w", 2, 1)));
    assert!(turned_out(&|bench| bench.grant("w", 3, 1)), "more than it has");
    assert!(turned_out(&|bench| bench.grant("own", 1, 1)), "not its service");
    let others = |service: &'static [u8]| Record::Grant { service, slots: 1, number: 1 };
    assert!(turned_out(&|bench| bench.say("own", others(b"t.T"))), "not shared");
    assert!(turned_out(&|bench| bench.say("w", others(b"u.U"))), "no service");
    assert!(turned_out(&|bench| bench.say("w", Record::Demand { service: b"s.S", calls: 1 })));
}
