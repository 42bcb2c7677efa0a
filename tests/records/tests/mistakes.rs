//! What a person sees who makes a mistake: each `.stderr` was read as such.

#[test]
fn mistakes_point_at_their_place_and_say_the_mend() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
