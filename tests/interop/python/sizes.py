"""A client of RFC 7: `sizes.py ENDPOINT SERVICE SIZE..`.

It makes a request with a body of each size, in bytes, and expects it back. It prints `end` if all was so.
"""

import sys

import zmq

from mdp import RFC7, dealer

PATIENCE = 60_000


def main():
    endpoint, service = sys.argv[1], sys.argv[2].encode()
    socket = dealer(endpoint, linger=0)
    for size in map(int, sys.argv[3:]):
        body = [(bytes(range(251)) * (size // 251 + 1))[:size], b"", b"behind"]
        socket.send_multipart(RFC7.from_client(service, body))
        if not socket.poll(PATIENCE):
            sys.exit(f"no reply to {size} bytes")
        frames = socket.recv_multipart()
        if frames != RFC7.to_client(service, body, True):
            sys.exit(f"{size} bytes: {[len(frame) for frame in frames]} bytes came back, or others")
    print("end", flush=True)


main()
