//! One service declared both ways gives the same code. Only tests; see `tests/tokens.rs`.
