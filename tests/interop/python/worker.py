"""A worker of RFC 7 or RFC 18: `worker.py DIALECT ENDPOINT SERVICE [PARTIALS]`.

It sends back what it gets, over MDP/0.2 behind so many partial replies, until its standard input ends. Then it says
DISCONNECT and prints how many requests it had.
"""

import sys
import time

import zmq

import mdp
from mdp import DIALECTS, READY, REQUEST

HEARTBEAT = 1.0
LIVENESS = 10


def main():
    dialect, endpoint, service = DIALECTS[sys.argv[1]], sys.argv[2], sys.argv[3].encode()
    partials = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    context = zmq.Context.instance()
    requests = 0

    def connect():
        dealer = mdp.dealer(endpoint, linger=1000)
        dealer.send_multipart(dialect.of_worker(READY, [service]))
        return dealer

    dealer = connect()
    heard = said = time.monotonic()
    poller = zmq.Poller()
    poller.register(sys.stdin.fileno(), zmq.POLLIN)
    poller.register(dealer, zmq.POLLIN)
    while True:
        ready = dict(poller.poll(200))
        if sys.stdin.fileno() in ready:
            break
        now = time.monotonic()
        for _ in range(200):
            try:
                frames = dealer.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                break
            heard = now
            head = dialect.delimiter + [dialect.worker]
            if frames[: len(head)] != head:
                sys.exit(f"not for a worker: {frames!r:.200}")
            command, *rest = frames[len(head) :]
            if command == REQUEST:
                address, empty, *body = rest
                if empty != b"":
                    sys.exit("no empty frame behind the address")
                requests += 1
                for partial in range(partials):
                    frames = [address, b"", b"%d" % partial]
                    dealer.send_multipart(dialect.of_worker(dialect.partial, frames))
                dealer.send_multipart(dialect.of_worker(dialect.final, [address, b""] + body))
                said = now
            elif command == dialect.disconnect:
                heard = 0
                break
            elif command != dialect.heartbeat or rest:
                sys.exit(f"the broker said {command!r}")
        if now - heard > HEARTBEAT * LIVENESS:
            # RFC 7 and RFC 18: a new socket each time.
            poller.unregister(dealer)
            dealer.close()
            time.sleep(0.2)
            dealer = connect()
            poller.register(dealer, zmq.POLLIN)
            heard = said = time.monotonic()
        elif now - said >= HEARTBEAT:
            dealer.send_multipart(dialect.of_worker(dialect.heartbeat))
            said = now
    dealer.send_multipart(dialect.of_worker(dialect.disconnect))
    dealer.close()
    context.term()
    print(requests, flush=True)


main()
