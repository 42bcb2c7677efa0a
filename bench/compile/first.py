#!/usr/bin/env python3
"""What the first build of a minimal client costs: crates, and processor seconds from an empty target.

    python3 bench/compile/first.py [--rounds 1]

Each crate has one service with one method, and a `main` that makes one call. With this project: by attributes and by
.proto, without libzmq and with it. Beside them tonic, whose stubs need a compiler of .proto, and tarpc. A round builds
each once (`cargo build`, dev profile, nothing in the target); the order turns round with each round. The sources of
all crates are there before. Processor time counts, not time: it depends less on what else the machine does.
"""

import argparse
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
AT_MOST = 0.8
AT_MOST_CRATES = 60

MANIFEST = """[package]
name = "{name}"
version = "0.1.0"
edition = "2024"

[dependencies]
tokio = {{ version = "1", features = ["macros", "rt"] }}
{dependencies}

[build-dependencies]
{build}

[workspace]
"""
PROTO = """syntax = "proto3";
package first.v1;

message Ball { string text = 1; }

service Echo { rpc Send(Ball) returns (Ball); }
"""
OURS_BUILD = """fn main() {
    mdp_codegen::compile_protos(&["first.proto"], &["."]).expect("the code is generated");
}
"""
OURS_PROTO = """mod pb { mdp_runtime::include_proto!("first.v1"); }

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = mdp_runtime::Client::connect("tcp://127.0.0.1:5555").await?;
    let echo = pb::echo_client::EchoClient::new(client);
    println!("{}", echo.send(pb::Ball { text: "hello".into() }).await?.text);
    Ok(())
}
"""
OURS_RUST = """use mdp_runtime::{Client, MdpRecord, Status, mdp_service};

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Ball {
    #[mdp(1)]
    pub text: String,
}

#[mdp_service(package = "first.v1")]
pub trait Echo {
    async fn send(&self, ball: Ball) -> Result<Ball, Status>;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let echo = EchoClient::new(Client::connect("tcp://127.0.0.1:5555").await?);
    println!("{}", echo.send(Ball { text: "hello".into() }).await?.text);
    Ok(())
}
"""
TONIC_BUILD = """fn main() {
    println!("cargo:rerun-if-changed=first.proto");
    let files = protox::compile(["first.proto"], ["."]).expect("the .proto compiles");
    tonic_prost_build::configure().compile_fds(files).expect("the code is generated");
}
"""
TONIC = """mod pb { tonic::include_proto!("first.v1"); }

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut echo = pb::echo_client::EchoClient::connect("http://127.0.0.1:5555").await?;
    println!("{}", echo.send(pb::Ball { text: "hello".into() }).await?.into_inner().text);
    Ok(())
}
"""
TARPC = """use tarpc::tokio_serde::formats::Bincode;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Ball {
    pub text: String,
}

#[tarpc::service]
pub trait Echo {
    async fn send(ball: Ball) -> Ball;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let transport = tarpc::serde_transport::tcp::connect("127.0.0.1:5555", Bincode::default).await?;
    let echo = EchoClient::new(tarpc::client::Config::default(), transport).spawn();
    println!("{}", echo.send(tarpc::context::current(), Ball { text: "hello".into() }).await?.text);
    Ok(())
}
"""

LEAN = f'mdp-runtime = {{ path = "{ROOT}/mdp-runtime", default-features = false, features = ["macros"] }}'
WHOLE = f'mdp-runtime = {{ path = "{ROOT}/mdp-runtime" }}'
CODEGEN = f'mdp-codegen = {{ path = "{ROOT}/mdp-codegen" }}'
TONIC_NEEDS = 'prost = "0.14"\ntonic = "0.14"\ntonic-prost = "0.14"'
TARPC_NEEDS = 'serde = { version = "1", features = ["derive"] }\n' \
    'tarpc = { version = "0.38", features = ["serde-transport-bincode", "tcp", "tokio1"] }'

ATTRIBUTES, BY_PROTO, BY_TONIC = "attributes", "proto", "tonic"
CRATES = {
    ATTRIBUTES: (LEAN, "", {"src/main.rs": OURS_RUST}),
    "attributes-libzmq": (WHOLE, "", {"src/main.rs": OURS_RUST}),
    BY_PROTO: (LEAN, CODEGEN, {"src/main.rs": OURS_PROTO, "build.rs": OURS_BUILD, "first.proto": PROTO}),
    BY_TONIC: (TONIC_NEEDS, 'protox = "0.9"\ntonic-prost-build = "0.14"',
               {"src/main.rs": TONIC, "build.rs": TONIC_BUILD, "first.proto": PROTO}),
    "tarpc": (TARPC_NEEDS, "", {"src/main.rs": TARPC}),
}


def cargo(place, *arguments):
    environment = {**os.environ, "CARGO_INCREMENTAL": "0", "CARGO_TARGET_DIR": str(place / "target")}
    done = subprocess.run(["cargo", *arguments], cwd=place, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{place.name}: cargo {' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout


def make(folder, name):
    dependencies, build, files = CRATES[name]
    place = folder / name
    (place / "src").mkdir(parents=True)
    manifest = MANIFEST.format(name=f"first-{name}", dependencies=dependencies, build=build)
    # The versions that this workspace has, so that all sides share theirs.
    shutil.copy(ROOT / "Cargo.lock", place / "Cargo.lock")
    for path, text in {"Cargo.toml": manifest, **files}.items():
        (place / path).write_text(text)
    cargo(place, "fetch")
    return place


def crates(place):
    """How many crates a build compiles, and which of them compile C."""
    said = cargo(place, "tree", "--edges", "normal,build", "--prefix", "none", "--format", "{p}")
    names = {line.removesuffix(" (*)") for line in said.splitlines() if line.strip()}
    of_c = sorted(name.split()[0] for name in names if name.split()[0] in ("cc", "zmq-sys", "zeromq-src"))
    return len(names), of_c


def build(place):
    """Processor seconds of a first build."""
    shutil.rmtree(place / "target", ignore_errors=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    cargo(place, "build")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1)
    asked = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mdp-first-"))
    try:
        places = {name: make(folder, name) for name in CRATES}
        seconds = {name: [] for name in places}
        for number in range(asked.rounds):
            for name in list(places) if number % 2 == 0 else list(places)[::-1]:
                seconds[name].append(build(places[name]))
                print(f"round {number + 1}: {name} {seconds[name][-1]:.1f} s of processor time", flush=True)
                shutil.rmtree(places[name] / "target")
        print()
        for name, place in places.items():
            count, of_c = crates(place)
            middle, low, high = statistics.median(seconds[name]), min(seconds[name]), max(seconds[name])
            print(f"{name:20} {count:4} crates  {middle:6.1f} s  ({low:.1f} - {high:.1f})  {' '.join(of_c)}")
        ratio = statistics.median(seconds[BY_PROTO]) / statistics.median(seconds[BY_TONIC])
        verdict = "ok" if ratio <= AT_MOST else "short"
        print(f"ratio first-build-over-tonic {ratio:.2f} target <={AT_MOST:.2f} {verdict}")
        count, of_c = crates(places[ATTRIBUTES])
        verdict = "ok" if count <= AT_MOST_CRATES and not of_c else "short"
        print(f"crates of a client without libzmq {count} target <={AT_MOST_CRATES} and none in C {verdict}")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
