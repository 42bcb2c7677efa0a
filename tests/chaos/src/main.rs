//! Runs faults under load and reports which promises were kept; and is the workers and clients of these runs.
//!
//! ```text
//! cargo run -p test-chaos --release -- --full                 all faults in full, and the report in docs/reliability.md
//! cargo run -p test-chaos --release -- --full --only F5       one of them, and its part of the report
//! cargo run -p test-chaos                                     all in the short form of CI
//! cargo run -p test-chaos -- --only F22 --factor 2 --deadline 0.5 --seconds 8 --shape 1x4 --tail
//! cargo run -p test-chaos -- --list                           what there is
//! ```

fn main() -> std::process::ExitCode {
    test_chaos::main()
}
