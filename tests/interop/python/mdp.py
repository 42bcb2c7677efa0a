"""The numbers of RFC 7 (MDP/0.1) and RFC 18 (MDP/0.2), as their texts have them, and the socket of a peer."""

import os

import zmq

READY = b"\x01"
REQUEST = b"\x02"


class Dialect:
    def __init__(self, name, delimiter, client, worker, partial, final, heartbeat, disconnect):
        self.name = name
        # RFC 7 has an empty frame first, as REQ sockets send it. RFC 18 has none.
        self.delimiter = delimiter
        self.client = client
        self.worker = worker
        self.partial = partial
        self.final = final
        self.heartbeat = heartbeat
        self.disconnect = disconnect

    def from_client(self, service, body):
        """Frames of a client's request."""
        command = [] if self.delimiter else [b"\x01"]
        return self.delimiter + [self.client] + command + [service] + body

    def to_client(self, service, body, last):
        """Frames of a reply to a client."""
        command = [] if self.delimiter else [b"\x03" if last else b"\x02"]
        return self.delimiter + [self.client] + command + [service] + body

    def of_worker(self, command, frames=()):
        """Frames between a worker and a broker, either way."""
        return self.delimiter + [self.worker, command] + list(frames)


RFC7 = Dialect("0.1", [b""], b"MDPC01", b"MDPW01", None, b"\x03", b"\x04", b"\x05")
RFC18 = Dialect("0.2", [], b"MDPC02", b"MDPW02", b"\x03", b"\x04", b"\x05", b"\x06")
DIALECTS = {"0.1": RFC7, "0.2": RFC18}


def dealer(endpoint, linger, before=lambda _: None):
    """A DEALER that connects, with CURVE if INTEROP_CURVE has the broker's public key and its own pair, with spaces between.

    `before` gets it before it connects.
    """
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.linger = linger
    keys = os.environ.get("INTEROP_CURVE")
    if keys:
        socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = keys.encode().split()
    before(socket)
    socket.connect(endpoint)
    return socket
