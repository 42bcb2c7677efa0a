"""A client of RFC 7 or RFC 18: `client.py DIALECT ENDPOINT SERVICE CALLS [PARTIALS]`.

It makes so many requests, each with a body of its own, and expects each body back, over MDP/0.2 behind so many partial
replies. It prints `end` if all was so.
"""

import sys
import time

from mdp import DIALECTS, dealer

PATIENCE = 60_000


def main():
    dialect, endpoint, service = DIALECTS[sys.argv[1]], sys.argv[2], sys.argv[3].encode()
    calls = int(sys.argv[4])
    partials = int(sys.argv[5]) if len(sys.argv) > 5 else 0
    socket = dealer(endpoint, linger=0)
    for number in range(calls):
        body = [b"%d" % number, b"", bytes(number % 1000)]
        socket.send_multipart(dialect.from_client(service, body))
        for partial in range(partials):
            expect(socket, dialect.to_client(service, [b"%d" % partial], False))
        expect(socket, dialect.to_client(service, body, True))
    print("end", flush=True)


def expect(socket, expected):
    if not socket.poll(PATIENCE):
        sys.exit(f"no reply; {expected!r:.200} was expected")
    frames = socket.recv_multipart()
    if frames != expected:
        sys.exit(f"{frames!r:.200} came in place of {expected!r:.200}")


start = time.monotonic()
main()
print(f"{time.monotonic() - start:.1f} s", file=sys.stderr)
