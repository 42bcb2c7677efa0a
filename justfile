# One recipe for each habit; each calls what also works without `just`.

# Lists the recipes.
default:
    @just --list

# All tests, or those of one package: `just test -p mdp-protocol`.
test *args:
    cargo test {{args}}

# The lints that CI fails on.
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# Formats all code.
fmt:
    cargo fmt --all

# Measures against other systems, within 90 s; `just bench --rounds 7 --seconds 0.6` measures all cases.
bench *args="--quick":
    cargo run --release -p mdp-bench -- {{args}}

# Each fuzz target for so many seconds; needs the nightly toolchain.
fuzz seconds="30":
    .ci/fuzz {{seconds}}

# The settings page anew from the code, the documentation of the crates, and the guide as a book.
docs:
    MDP_WRITE_DOCS=1 cargo test -p mdp-cli --bin mdp reference
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
    .ci/docs

# All checks for each change, half an hour on two cores.
ci:
    .ci/run

# Faults under load over processes, each for some seconds; `just chaos --full` takes 90 minutes.
chaos *args:
    .ci/chaos
    {{ if args == "" { "MDP_CHAOS=all cargo test -p test-chaos" } else { "cargo run -p test-chaos --release -- " + args } }}

# What takes too long for each change.
nightly:
    .ci/nightly
