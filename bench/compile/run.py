#!/usr/bin/env python3
"""How long the compiler takes for 50 records and 10 services of 5 methods: with the attributes of this
project, with its .proto front end, with prost and tonic, and with prost for the messages alone.

    python3 bench/compile/run.py [--rounds 7] [--profile dev|release]

Four crates with the same contract are made in a temporary folder. Everything that they depend on is built
first. Then each round touches the declaration of each crate (the Rust file, or the .proto) and takes the time
of one whole `cargo build`: the build script if there is one, macros, type checking, code generation. The order
turns round with each round. Medians are printed, and what the generated services add to prost's own share.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECORDS, SERVICES, METHODS = 50, 10, 5

# name, the attribute's argument, Rust type, .proto type
FIELDS = [
    ("id", "", "u64", "uint64"),
    ("name", "", "String", "string"),
    ("active", "", "bool", "bool"),
    ("score", "", "f64", "double"),
    ("delta", ", sint32", "i32", "sint32"),
    ("note", "", "Option<String>", "optional string"),
    ("tags", "", "Vec<String>", "repeated string"),
    ("counts", "", "std::collections::HashMap<String, u32>", "map<string, uint32>"),
]


def record_in_rust(number):
    fields = [f"    #[mdp({tag}{kind})]\n    pub {name}: {rust},"
              for tag, (name, kind, rust, _) in enumerate(FIELDS, 1)]
    if number:
        fields.append(f"    #[mdp({len(FIELDS) + 1})]\n    pub before: Option<Box<Record{number - 1}>>,")
    return (f"#[derive(MdpRecord, Clone, Debug, PartialEq)]\npub struct Record{number} {{\n"
            + "\n".join(fields) + "\n}\n")


def record_in_proto(number):
    fields = [f"  {proto} {name} = {tag};" for tag, (name, _, _, proto) in enumerate(FIELDS, 1)]
    if number:
        fields.append(f"  Record{number - 1} before = {len(FIELDS) + 1};")
    return f"message Record{number} {{\n" + "\n".join(fields) + "\n}\n"


def pairs(service):
    """The request and the reply of each method of a service."""
    return [((service * METHODS + method) % RECORDS, (service * METHODS + method + 1) % RECORDS)
            for method in range(METHODS)]


def service_in_rust(number):
    methods = [f"    async fn method{place}(&self, cx: &CallContext, req: Record{asked})"
               f" -> Result<Record{given}, Status>;"
               for place, (asked, given) in enumerate(pairs(number))]
    return (f'#[mdp_service(package = "bench.v1")]\npub trait Service{number} {{\n'
            + "\n".join(methods) + "\n}\n")


def service_in_proto(number):
    methods = [f"  rpc Method{place}(Record{asked}) returns (Record{given});"
               for place, (asked, given) in enumerate(pairs(number))]
    return f"service Service{number} {{\n" + "\n".join(methods) + "\n}\n"


PROTO = ('syntax = "proto3";\npackage bench.v1;\n'
         + "".join(map(record_in_proto, range(RECORDS)))
         + "".join(map(service_in_proto, range(SERVICES))))

RUST = ("#![allow(missing_docs)]\nuse mdp_runtime::{CallContext, MdpRecord, Status, mdp_service};\n"
        + "".join(map(record_in_rust, range(RECORDS)))
        + "".join(map(service_in_rust, range(SERVICES))))

MANIFEST = """[package]
name = "{name}"
version = "0.1.0"
edition = "2024"

[dependencies]
{dependencies}

[build-dependencies]
{build}

[workspace]

[patch.crates-io]
zeromq-src = {{ path = "{root}/zeromq-src" }}
"""

OURS, MESSAGES = ".proto through mdp-codegen", ".proto through prost, messages alone"
# What the generated services may add to prost's own share of a build.
AT_MOST = 1.05

RUNTIME = f'mdp-runtime = {{ path = "{ROOT}/mdp-runtime" }}'
TONIC_BUILD = """fn main() {
    println!("cargo:rerun-if-changed=bench.proto");
    let files = protox::compile(["bench.proto"], ["."]).expect("the .proto compiles");
    tonic_prost_build::configure().compile_fds(files).expect("the code is generated");
}
"""
PROST_BUILD = """fn main() {
    println!("cargo:rerun-if-changed=bench.proto");
    let files = protox::compile(["bench.proto"], ["."]).expect("the .proto compiles");
    prost_build::compile_fds(files).expect("the code is generated");
}
"""
MDP_BUILD = """fn main() {
    mdp_codegen::compile_protos(&["bench.proto"], &["."]).expect("the code is generated");
}
"""


def crates(folder):
    """Makes the crates: name, folder, and the file that holds the declaration."""
    def make(name, dependencies, build, files):
        place = folder / name
        (place / "src").mkdir(parents=True)
        manifest = MANIFEST.format(name=name, dependencies=dependencies, build=build, root=ROOT)
        for path, text in {"Cargo.toml": manifest, **files}.items():
            (place / path).write_text(text)
        return place

    attributes = make("attributes", RUNTIME, "", {"src/lib.rs": RUST})
    proto = make("proto", RUNTIME, f'mdp-codegen = {{ path = "{ROOT}/mdp-codegen" }}', {
        "src/lib.rs": 'pub mod pb { mdp_runtime::include_proto!("bench.v1"); }\n',
        "build.rs": MDP_BUILD,
        "bench.proto": PROTO,
    })
    tonic = make("tonic", 'prost = "0.14"\ntonic = "0.14"\ntonic-prost = "0.14"',
                 'protox = "0.9"\ntonic-prost-build = "0.14"', {
        "src/lib.rs": 'pub mod pb { tonic::include_proto!("bench.v1"); }\n',
        "build.rs": TONIC_BUILD,
        "bench.proto": PROTO,
    })
    # As the others have it: what is built before is the same, and so is what the crate is linked against.
    messages = make("messages", RUNTIME + '\nprost = "0.14"', 'protox = "0.9"\nprost-build = "0.14"', {
        "src/lib.rs": 'pub mod pb { include!(concat!(env!("OUT_DIR"), "/bench.v1.rs")); }\n',
        "build.rs": PROST_BUILD,
        "bench.proto": PROTO,
    })
    return [
        (MESSAGES, messages, "bench.proto"),
        ("attributes (#[derive(MdpRecord)], #[mdp_service])", attributes, "src/lib.rs"),
        (OURS, proto, "bench.proto"),
        (".proto through prost and tonic", tonic, "bench.proto"),
    ]


def build(place, profile, target):
    command = ["cargo", "build", "--quiet", "--profile", profile]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target), "CARGO_INCREMENTAL": "0"}
    start = time.monotonic()
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{place.name} does not build:\n{done.stderr}")
    return time.monotonic() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--profile", default="dev", choices=["dev", "release"])
    asked = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mdp-compile-"))
    try:
        made = crates(folder)
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", folder / "target"))
        for name, place, _ in made:
            print(f"building {name} with all it needs", flush=True)
            build(place, asked.profile, target)
        times = {name: [] for name, _, _ in made}
        for number in range(asked.rounds):
            for name, place, declaration in made if number % 2 == 0 else made[::-1]:
                (place / declaration).touch()
                times[name].append(build(place, asked.profile, target))
        base = statistics.median(times[made[-1][0]])
        print(f"\n{RECORDS} records, {SERVICES} services, profile {asked.profile}, "
              f"{asked.rounds} rounds")
        for name, all_times in times.items():
            middle = statistics.median(all_times)
            print(f"{name:52} {middle:6.2f} s  ({min(all_times):.2f} - {max(all_times):.2f})"
                  f"  x{middle / base:.2f}")
        rounds = [ours / prost for ours, prost in zip(times[OURS], times[MESSAGES])]
        ratio = statistics.median(times[OURS]) / statistics.median(times[MESSAGES])
        print(f"ratio build-over-prost {ratio:.2f} target <={AT_MOST:.2f} {'ok' if ratio <= AT_MOST else 'short'}"
              f" rounds {min(rounds):.2f}..{max(rounds):.2f}")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
