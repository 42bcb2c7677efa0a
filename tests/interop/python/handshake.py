"""Connects, and prints what libzmq reports of the end of its handshake: `handshake.py ENDPOINT`.

For instance `HANDSHAKE_FAILED_AUTH 400`, or `HANDSHAKE_SUCCEEDED 0`.
"""

import sys

import zmq
from zmq.utils.monitor import recv_monitor_message

from mdp import dealer

ENDS = (
    zmq.Event.HANDSHAKE_SUCCEEDED
    | zmq.Event.HANDSHAKE_FAILED_AUTH
    | zmq.Event.HANDSHAKE_FAILED_PROTOCOL
    | zmq.Event.HANDSHAKE_FAILED_NO_DETAIL
)

monitors = []
socket = dealer(sys.argv[1], linger=0, before=lambda it: monitors.append(it.get_monitor_socket(ENDS)))
if not monitors[0].poll(30_000):
    sys.exit("no handshake has ended")
event = recv_monitor_message(monitors[0])
print(zmq.Event(event["event"]).name, event["value"], flush=True)
