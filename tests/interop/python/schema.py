"""What a service is, as the broker tells it to a client of RFC 7 or RFC 18: `schema.py DIALECT ENDPOINT SERVICE`.

It prints a line for each method, as protobuf's own package reads the descriptors.
"""

import sys

import zmq
from google.protobuf import descriptor_pb2, descriptor_pool

from mdp import DIALECTS

PATIENCE = 60_000


def main():
    dialect, endpoint, service = DIALECTS[sys.argv[1]], sys.argv[2], sys.argv[3]
    dealer = zmq.Context.instance().socket(zmq.DEALER)
    dealer.linger = 0
    dealer.connect(endpoint)
    dealer.send_multipart(dialect.from_client(b"mmi.schema", [service.encode()]))
    if not dealer.poll(PATIENCE):
        sys.exit("no reply")
    status, descriptors, _hash = dealer.recv_multipart()[-3:]
    if status != b"200":
        sys.exit(f"status {status!r}")
    files = descriptor_pb2.FileDescriptorSet.FromString(descriptors)
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    for method in pool.FindServiceByName(service).methods:
        print(method.name, method.input_type.full_name, method.output_type.full_name)
    print("end", flush=True)


main()
