"""Prints key pairs that libzmq made: `keys.py COUNT`, a line `PUBLIC SECRET` each."""

import sys

import zmq

for _ in range(int(sys.argv[1])):
    public, secret = zmq.curve_keypair()
    print(public.decode(), secret.decode(), flush=True)
