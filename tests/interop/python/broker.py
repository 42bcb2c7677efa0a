"""A broker of RFC 7 and RFC 18, strict: what the texts do not allow is a fault.

It prints its endpoint, serves until its standard input ends, and then prints the faults, a line each, and `end`.
"""

import sys
import time
from collections import OrderedDict, defaultdict, deque

import zmq

from mdp import READY, REQUEST, RFC7, RFC18

HEARTBEAT = 1.0
LIVENESS = 10


class Worker:
    def __init__(self, dialect, service):
        self.dialect = dialect
        self.service = service
        self.heard = self.said = time.monotonic()
        self.client = None


class Broker:
    def __init__(self, router):
        self.router = router
        self.workers = {}
        self.gone = set()
        self.idle = defaultdict(OrderedDict)
        self.queues = defaultdict(deque)
        self.faults = []

    def fault(self, what):
        self.faults.append(what)

    def send(self, peer, frames):
        try:
            self.router.send_multipart([peer] + frames, zmq.DONTWAIT)
        except zmq.ZMQError:
            pass  # the peer has gone

    def hear(self, peer, frames):
        if frames[:2] == [b"", RFC7.client] and len(frames) >= 4:
            self.request(RFC7, peer, frames[2], frames[3:])
        elif frames[:2] == [RFC18.client, b"\x01"] and len(frames) >= 4:
            self.request(RFC18, peer, frames[2], frames[3:])
        elif frames[:2] == [b"", RFC7.worker] and len(frames) >= 3:
            self.worker(RFC7, peer, frames[2], frames[3:])
        elif frames[:1] == [RFC18.worker] and len(frames) >= 2:
            self.worker(RFC18, peer, frames[1], frames[2:])
        else:
            self.fault(f"neither RFC 7 nor RFC 18: {frames!r:.200}")

    def request(self, dialect, client, service, body):
        self.queues[service].append((dialect, client, body))
        self.dispatch(service)

    def dispatch(self, service):
        queue, idle = self.queues[service], self.idle[service]
        while queue and idle:
            peer, _ = idle.popitem(last=False)  # the least recently used
            worker = self.workers[peer]
            dialect, client, body = queue.popleft()
            worker.client = (dialect, client)
            self.say(peer, worker, REQUEST, [client, b""] + body)

    def say(self, peer, worker, command, frames=()):
        worker.said = time.monotonic()
        self.send(peer, worker.dialect.of_worker(command, frames))

    def worker(self, dialect, peer, command, frames):
        if peer in self.gone:
            if command == READY:
                self.fault("READY on a socket whose session is over")
            return
        worker = self.workers.get(peer)
        if command == READY:
            if worker:
                return self.fault("a second READY")
            if len(frames) != 1:
                return self.fault("READY with frames beside the service")
            self.workers[peer] = Worker(dialect, frames[0])
            self.idle[frames[0]][peer] = None
            return self.dispatch(frames[0])
        if not worker:
            # Of a broker that was here before: it is to register again.
            return self.send(peer, dialect.of_worker(dialect.disconnect))
        worker.heard = time.monotonic()
        if command == dialect.heartbeat:
            if frames:
                self.fault("HEARTBEAT with frames")
        elif command == dialect.disconnect:
            if frames:
                self.fault("DISCONNECT with frames")
            self.forget(peer)
        elif command in (dialect.partial, dialect.final):
            self.reply(worker, peer, command == dialect.final, frames)
        else:
            self.fault(f"a worker said {command!r}")

    def reply(self, worker, peer, last, frames):
        if len(frames) < 3 or frames[1] != b"":
            return self.fault("a reply without address, empty frame and body")
        if not worker.client or worker.client[1] != frames[0]:
            return self.fault("a reply that answers no request")
        dialect, client = worker.client
        if last or dialect is RFC18:
            self.send(client, dialect.to_client(worker.service, frames[2:], last))
        if last:
            worker.client = None
            self.idle[worker.service][peer] = None
            self.dispatch(worker.service)

    def forget(self, peer):
        worker = self.workers.pop(peer)
        self.idle[worker.service].pop(peer, None)
        self.gone.add(peer)

    def tick(self):
        now = time.monotonic()
        for peer, worker in list(self.workers.items()):
            if now - worker.heard > HEARTBEAT * LIVENESS:
                self.fault("a worker fell silent")
                self.say(peer, worker, worker.dialect.disconnect)
                self.forget(peer)
            elif now - worker.said >= HEARTBEAT:
                self.say(peer, worker, worker.dialect.heartbeat)


def main():
    router = zmq.Context.instance().socket(zmq.ROUTER)
    router.linger = 0
    router.router_mandatory = True
    router.sndhwm = 0
    port = router.bind_to_random_port("tcp://127.0.0.1")
    print(f"tcp://127.0.0.1:{port}", flush=True)
    broker = Broker(router)
    poller = zmq.Poller()
    poller.register(router, zmq.POLLIN)
    poller.register(sys.stdin.fileno(), zmq.POLLIN)
    last = time.monotonic()
    while True:
        ready = dict(poller.poll(200))
        if sys.stdin.fileno() in ready:
            break
        for _ in range(200):
            try:
                peer, *frames = router.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                break
            broker.hear(peer, frames)
        if time.monotonic() - last >= 0.2:
            last = time.monotonic()
            broker.tick()
    for fault in broker.faults:
        print(fault)
    print("end", flush=True)


main()
