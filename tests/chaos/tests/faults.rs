//! Each fault in its short form. In full: docs/reliability.md.

use std::path::Path;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $id:literal;)*) => {
        $(
            $(#[$doc])*
            #[test]
            fn $name() {
                test_chaos::ci($id, Path::new(env!("CARGO_BIN_EXE_test-chaos")));
            }
        )*
    };
}

faults! {
    f1_workers_are_killed = "F1";
    f2_a_worker_is_frozen = "F2";
    f5_the_broker_is_killed = "F5";
    f6_the_network_is_cut = "F6";
    f7_clients_are_killed = "F7";
    f8_clients_do_not_read = "F8";
    f13_the_wall_clock_jumps = "F13";
    f14_the_broker_is_frozen = "F14";
    f15_files_run_out = "F15";
    f18_signals_come_without_pause = "F18";
    f20_workers_are_replaced = "F20";
    f21_handlers_panic = "F21";
    f22_more_is_asked_for_than_there_is = "F22";
}
