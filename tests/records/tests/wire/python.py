"""Reads records with Python's protobuf, by the schema that comes first, and writes them again."""

import struct
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf import unknown_fields
from google.protobuf.message import Message

# The first record. It is written out here so that a value that both sides get wrong alike is found.
KNOWN_BY_HEART = {
    "scalars": {
        "flag": True,
        "sint32": -7,
        "fixed64": str(2**64 - 1),
        "double": -0.0,
        "string": "é",
        "bytes": "AP8=",
    },
    "options": {"uint32": 0},
    "lists": {"color": ["COLOR_RED", "COLOR_OF_MONEY"], "oneByOne": [1, 2]},
    "maps": {"uint64": {"0": {"y": -1}}, "hashed": {"": "-1"}},
    "choices": {"extension": -1, "slow": 0.0},
    "defaults": {
        "seconds": 0,
        "offset": -1,
        "name": "nobody",
        "color": "COLOR_RED",
        "flag": True,
        "share": 0.5,
        "key": "AP8=",
    },
}


def main():
    messages = read_all(sys.stdin.buffer)
    record = message_class(next(messages), "shapes.v1.Everything")
    count = 0
    for number, given in enumerate(messages):
        message = record()
        message.ParseFromString(given)
        if number == 0:
            read = json_format.MessageToDict(message)
            if read != KNOWN_BY_HEART or str(read["scalars"]["double"]) != "-0.0":
                sys.exit(f"wanted {KNOWN_BY_HEART}\nand read {read}")
        if unknown := unknown_numbers(message):
            sys.exit(f"record {number}: {unknown} are not in the schema")
        answer = message.SerializeToString()
        sys.stdout.buffer.write(struct.pack(">I", len(answer)) + answer)
        count += 1
    print(f"python.py read {count} records", file=sys.stderr)


def read_all(stream):
    """Each message has its length before it."""
    while head := stream.read(4):
        (length,) = struct.unpack(">I", head)
        yield stream.read(length)


def message_class(schema, name):
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(schema).file:
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def unknown_numbers(message):
    """Numbers of fields that the schema does not have, at any depth; the values of maps aside."""
    numbers = [field.field_number for field in unknown_fields.UnknownFieldSet(message)]
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        for inner in [value] if isinstance(value, Message) else value:
            numbers += unknown_numbers(inner)
    return numbers


main()
