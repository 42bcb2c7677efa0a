//! The tests of this package show each statement of docs/conformance.md from outside, over real sockets.
