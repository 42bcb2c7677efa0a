//! What holds for records of every shape, by chance.

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use prost::Message;
use test_records::{pb, records as r};

use crate::{convert, random, same};

/// As many as are wanted once it is built for speed.
const CASES: u32 = if cfg!(debug_assertions) { 500 } else { 100_000 };

fn each<S: Strategy>(strategy: S, test: impl Fn(S::Value)) {
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&strategy, |value| {
        test(value);
        Ok(())
    });
    if let Err(error) = run {
        panic!("{error}");
    }
}

#[test]
fn records_are_what_prost_makes_of_the_schema() {
    each(random::everything(), |record| same(&record, &convert::everything(&record)));
}

#[test]
fn broken_bytes_are_refused_by_both_or_read_for_good() {
    let hits = proptest::collection::vec((any::<Index>(), any::<u8>()), 1..4);
    each((random::everything(), hits, any::<Index>(), any::<bool>()), |broken| {
        let (record, hits, end, cut) = broken;
        let mut bytes = record.encode_to_vec();
        if bytes.is_empty() {
            return;
        }
        for (place, byte) in hits {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if cut {
            bytes.truncate(end.index(bytes.len()));
        }
        let Ok(read) = r::Everything::decode(bytes.as_slice()) else { return };
        assert!(pb::Everything::decode(bytes.as_slice()).is_ok(), "prost refuses {bytes:02x?}");
        // Equality of bytes: NaN may have come in.
        let written = read.encode_to_vec();
        let again = r::Everything::decode(written.as_slice()).unwrap().encode_to_vec();
        assert_eq!(hash_free(&written), hash_free(&again));
    });
}

/// The one hash map has no order.
fn hash_free(bytes: &[u8]) -> Vec<u8> {
    let mut message = pb::Everything::decode(bytes).unwrap();
    if let Some(maps) = &mut message.maps {
        maps.hashed.clear();
    }
    message.encode_to_vec()
}
