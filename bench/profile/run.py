#!/usr/bin/env python3
"""Where the processor time of a call goes: each side's processes under Linux' perf.

    cargo build --release -p mdp-bench
    python3 bench/profile/run.py [--seconds 3] [--top 0] [SIDE@IN_FLIGHT[@BYTES] ...]

The sides are those of mdp-bench: typed, raw, nats, tonic, tarpc, stream, one-way. For each process of a side it prints
processor time a call in microseconds, by where it was spent: the kernel, libc, libzmq, tokio, or the rest of the
program. Beside that, from /proc: switches of threads a call, voluntary and not, and how long threads that could have
run waited for a processor, for each time that they got one. At last how much of all processors was idle.
"""

import argparse
import collections
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERTZ = 1999
DEFAULT = ["typed@1", "raw@1", "nats@1", "typed@256", "raw@256", "nats@256", "tonic@256", "tarpc@256",
           "typed@4096", "raw@4096", "stream@1", "one-way@1", "typed@8@1048576", "raw@8@1048576"]
ROLES = {
    "typed": ("typed-broker", "typed-worker", "typed-client"),
    "stream": ("typed-broker", "typed-worker", "stream-client"),
    "raw": ("relay-proxy", "relay-worker", "relay-client"),
    "one-way": ("one-way-relay", "one-way-worker", "one-way-client"),
    "nats": ("nats-server", "nats-worker", "nats-client"),
    "tonic": (None, "tonic-worker", "tonic-client"),
    "tarpc": (None, "tarpc-worker", "tarpc-client"),
}
PLACES = ["kernel", "libc", "libzmq", "tokio", "rest"]


class Child:
    """A process of mdp-bench, which ends when its input does."""

    def __init__(self, program, *arguments):
        self.process = subprocess.Popen([program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid

    def words(self, first):
        line = self.process.stdout.readline()
        words = line.split()
        if not words or words[0] != first:
            sys.exit(f"{self.process.args[1]} said `{line.strip()}` and not `{first}`")
        return words[1:]

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()


def threads(pid):
    """Voluntary and other switches, and the time in which threads waited for a processor, with how often they got one."""
    sums = collections.Counter()
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        status = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines())
        sums["voluntary"] += int(status["voluntary_ctxt_switches"])
        sums["other"] += int(status["nonvoluntary_ctxt_switches"])
        _, waited, slices = (task / "schedstat").read_text().split()
        sums["waited"] += int(waited)
        sums["slices"] += int(slices)
    return sums


def idle():
    ticks = [int(word) for word in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return ticks[3] + ticks[4], ticks[7], sum(ticks)


def place(dso, symbol):
    if "kernel" in dso or "vmlinux" in dso or dso.startswith("[k") or symbol.endswith("_[k]") or dso == "[unknown]":
        return "kernel"
    if "libc.so" in dso or "libpthread" in dso or "[vdso]" in dso or "ld-linux" in dso:
        return "libc"
    if symbol.startswith("zmq::") or symbol.startswith("zmq_") or "libstdc++" in dso:
        return "libzmq"
    if symbol.startswith("tokio::") or symbol.startswith("<tokio"):
        return "tokio"
    return "rest"


def samples(data, pids):
    """Samples by process, place and symbol."""
    said = subprocess.run(["perf", "script", "-i", data, "-F", "pid,ip,sym,dso"], check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    found = collections.Counter()
    for line in said.splitlines():
        words = line.split(None, 2)
        if len(words) < 3:
            continue
        symbol, _, dso = words[2].rpartition(" (")
        found[int(words[0]), place(dso.rstrip(")"), symbol), symbol.strip()] += 1
    return {key: count for key, count in found.items() if key[0] in pids}


def profile(program, case, seconds, top):
    side, in_flight, *rest = case.split("@")
    size = rest[0] if rest else "64"
    middle, worker, client = ROLES[side]
    children = []
    try:
        endpoint = back = None
        pids = {}
        if middle:
            children.append(Child(program, middle))
            told = children[-1].words("ready")
            endpoint, back = told[0], told[-1]
            pids[middle] = int(back) if side == "nats" else children[-1].pid
            back = endpoint if side == "nats" else back
        children.append(Child(program, worker, *([back] if back else [])))
        pids[worker] = children[-1].pid
        told = children[-1].words("ready")
        endpoint = endpoint or told[0]
        milliseconds = int(seconds * 1000)
        children.append(Child(program, client, endpoint, "--in-flight", in_flight, "--bytes", size, "--rate", "0",
                              "--warm-up-ms", "500", "--measure-ms", str(milliseconds)))
        told = children[-1]
        pids[client] = told.pid
        told.words("begin")
        before, idle_before = {role: threads(pid) for role, pid in pids.items()}, idle()
        with tempfile.TemporaryDirectory() as folder:
            data = f"{folder}/perf"
            every = ",".join(str(pid) for pid in pids.values())
            recorded = max(seconds - 0.5, 0.3)
            subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-F", str(HERTZ), "-p", every, "-o", data,
                            "--", "sleep", str(recorded)], check=True, stderr=subprocess.DEVNULL)
            told.words("end")
            after, idle_after = {role: threads(pid) for role, pid in pids.items()}, idle()
            figures = told.process.stdout.readline().split()
            counted = samples(data, set(pids.values()))
    finally:
        for child in reversed(children):
            child.end()
    calls = int(figures[0])
    report(case, calls, seconds, recorded, figures, pids, counted, before, after, idle_before, idle_after, top)


def report(case, calls, seconds, recorded, figures, pids, counted, before, after, idle_before, idle_after, top):
    of_recorded = calls * recorded / seconds
    idle_share = (idle_after[0] - idle_before[0]) / (idle_after[2] - idle_before[2])
    stolen = (idle_after[1] - idle_before[1]) / (idle_after[2] - idle_before[2])
    tail = f", p50 {int(figures[1]) / 1000:,.0f} us, p99 {int(figures[2]) / 1000:,.0f} us" if int(figures[1]) else ""
    print(f"\n{case}: {calls / seconds:,.0f} a second{tail}; processors idle {idle_share:.0%}, stolen {stolen:.0%}")
    print(f"  {'us a call':16}" + "".join(f"{place:>9}" for place in PLACES) + f"{'all':>9}"
          f"{'voluntary':>11}{'other':>8}{'wait us':>9}")
    whole = collections.Counter()
    for role, pid in pids.items():
        took = collections.Counter()
        for (of, where, _), count in counted.items():
            if of == pid:
                took[where] += count * 1e6 / HERTZ / of_recorded
        whole.update(took)
        change = {key: after[role][key] - before[role][key] for key in after[role]}
        wait = change["waited"] / max(change["slices"], 1) / 1000
        print(f"  {role:16}" + "".join(f"{took[place]:9.2f}" for place in PLACES) + f"{sum(took.values()):9.2f}"
              f"{change['voluntary'] / calls:11.3f}{change['other'] / calls:8.3f}{wait:9.1f}")
    print(f"  {'together':16}" + "".join(f"{whole[place]:9.2f}" for place in PLACES) + f"{sum(whole.values()):9.2f}")
    for role, pid in pids.items() if top else ():
        of_role = sorted(((count, symbol) for (of, _, symbol), count in counted.items() if of == pid), reverse=True)
        total = sum(count for count, _ in of_role)
        print(f"  {role}")
        for count, symbol in of_role[:top]:
            print(f"    {count / total:6.1%} {symbol[:110]}")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=DEFAULT, metavar="SIDE@IN_FLIGHT[@BYTES]")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one measurement")
    parser.add_argument("--top", type=int, default=0, help="so many functions of each process")
    parser.add_argument("--program", default=str(ROOT / "target/release/mdp-bench"))
    args = parser.parse_args()
    if not os.path.exists(args.program):
        sys.exit(f"there is no {args.program}; `cargo build --release -p mdp-bench` makes it")
    for case in args.cases:
        side, _, rest = case.partition("@")
        if side not in ROLES or not all(word.isdigit() for word in rest.split("@")):
            parser.error(f"`{case}` is no SIDE@IN_FLIGHT[@BYTES]; sides are {', '.join(ROLES)}")
        profile(args.program, case, args.seconds, args.top)


if __name__ == "__main__":
    main()
