//! Each mistake that a trait can hold, and what is said about it: `ui/service/*.rs` with its `.stderr`.
//!
//! `TRYBUILD=overwrite cargo test -p test-macros --test mistakes` writes the `.stderr` files anew; they are
//! read like a user's interface before they are kept.

#[test]
fn services() {
    trybuild::TestCases::new().compile_fail("tests/ui/service/*.rs");
}
