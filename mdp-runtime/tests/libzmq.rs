//! The libzmq that cargo builds is the one this project promises: 4.3.5 or newer, with CURVE.

#![cfg(not(mdp_without_c))] // libzmq is the other side.

#[test]
fn libzmq_is_new_enough_and_has_curve() {
    assert_eq!(zmq::has("curve"), Some(true));
    assert!(zmq::version() >= (4, 3, 5), "{:?}", zmq::version());
}
