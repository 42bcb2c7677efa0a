#!/usr/bin/env python3
"""Prints curve.hex: a conversation under CURVE with fixed keys.

X25519 (RFC 7748), XSalsa20 and Poly1305 are written out here, as their papers have them and without a library, so that the
octets do not come from the code that they test.

    python3 mdp-zmtp/tests/goldens/curve.py > mdp-zmtp/tests/goldens/curve.hex
"""

import struct

P = 2**255 - 19


def x25519(secret: bytes, point: bytes) -> bytes:
    k = int.from_bytes(secret, "little") & ~7 & (2**255 - 1) | 2**254
    u = int.from_bytes(point, "little") & (2**255 - 1)
    x1, x2, z2, x3, z3, swap = u, 1, 0, u, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def public(secret: bytes) -> bytes:
    return x25519(secret, bytes([9]) + bytes(31))


def rounds(x: list) -> list:
    x = list(x)

    def quarter(a: int, b: int, c: int, d: int) -> None:
        for to, one, other, by in ((b, a, d, 7), (c, b, a, 9), (d, c, b, 13), (a, d, c, 18)):
            total = (x[one] + x[other]) & 0xFFFFFFFF
            x[to] ^= (total << by | total >> (32 - by)) & 0xFFFFFFFF

    for _ in range(10):
        for column in ((0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11)):
            quarter(*column)
        for row in ((0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14)):
            quarter(*row)
    return x


def block(key: bytes, middle: bytes) -> list:
    c = struct.unpack("<4I", b"expand 32-byte k")
    k = struct.unpack("<8I", key)
    m = struct.unpack("<4I", middle)
    return [c[0], *k[:4], c[1], *m, c[2], *k[4:], c[3]]


def hsalsa20(key: bytes, nonce: bytes) -> bytes:
    x = rounds(block(key, nonce))
    return struct.pack("<8I", *(x[i] for i in (0, 5, 10, 15, 6, 7, 8, 9)))


def stream(key: bytes, nonce: bytes, length: int) -> bytes:
    subkey, out = hsalsa20(key, nonce[:16]), b""
    for number in range((length + 63) // 64):
        start = block(subkey, nonce[16:] + struct.pack("<Q", number))
        words = ((a + b) & 0xFFFFFFFF for a, b in zip(start, rounds(start)))
        out += struct.pack("<16I", *words)
    return out[:length]


def poly1305(key: bytes, text: bytes) -> bytes:
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for at in range(0, len(text), 16):
        total = (total + int.from_bytes(text[at : at + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((total + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")


def secretbox(key: bytes, nonce: bytes, text: bytes) -> bytes:
    pad = stream(key, nonce, 32 + len(text))
    sealed = bytes(a ^ b for a, b in zip(text, pad[32:]))
    return poly1305(pad[:32], sealed) + sealed


def box(secret: bytes, to: bytes, nonce: bytes, text: bytes) -> bytes:
    return secretbox(hsalsa20(x25519(secret, to), bytes(16)), nonce, text)


def frame(flags: int, body: bytes) -> bytes:
    if len(body) < 256:
        return bytes([flags, len(body)]) + body
    return bytes([flags | 2]) + struct.pack(">Q", len(body)) + body


def properties(socket_type: bytes, identity: bytes) -> bytes:
    pairs = ((b"Socket-Type", socket_type), (b"Identity", identity))
    return b"".join(bytes([len(n)]) + n + struct.pack(">I", len(v)) + v for n, v in pairs)


def number(n: int) -> bytes:
    return struct.pack(">Q", n)


def greeting(as_server: int) -> bytes:
    return b"\xff" + bytes(7) + b"\1\x7f\3\1CURVE" + bytes(15) + bytes([as_server]) + bytes(31)


# RFC 26's names. A small letter is a secret key.
s, c = b"\x51" * 32, b"\x52" * 32
st, ct = b"\x53" * 32, b"\x54" * 32
S, C, St, Ct = public(s), public(c), public(st), public(ct)
cookie_key, cookie_nonce, welcome_nonce, vouch_nonce = b"\x55" * 32, b"\x56" * 16, b"\x57" * 16, b"\x58" * 16

hello = b"\5HELLO\1\0" + bytes(72) + Ct + number(1)
hello += box(ct, S, b"CurveZMQHELLO---" + number(1), bytes(64))

cookie = cookie_nonce + secretbox(cookie_key, b"COOKIE--" + cookie_nonce, Ct + st)
welcome = b"\7WELCOME" + welcome_nonce + box(s, Ct, b"WELCOME-" + welcome_nonce, St + cookie)


def initiate(vouched: bytes, socket_type: bytes = b"DEALER") -> bytes:
    vouch = vouch_nonce + box(c, St, b"VOUCH---" + vouch_nonce, vouched)
    text = C + vouch + properties(socket_type, b"ann")
    return b"\x08INITIATE" + cookie + number(2) + box(ct, St, b"CurveZMQINITIATE" + number(2), text)


ready = b"\5READY" + number(1)
ready += box(st, Ct, b"CurveZMQREADY---" + number(1), properties(b"ROUTER", b""))


def message(side: bytes, secret: bytes, to: bytes, n: int, flags: int, text: bytes) -> bytes:
    sealed = box(secret, to, b"CurveZMQMESSAGE" + side + number(n), bytes([flags]) + text)
    return frame(0, b"\7MESSAGE" + number(n) + sealed)


def show(name: str, comment: str, octets: bytes) -> None:
    print(f"\n# {comment}\n[{name}]")
    for at in range(0, len(octets), 32):
        print(octets[at : at + 32].hex())


print("# A conversation under CURVE (RFC 26), as curve.py prints it. Keys: 32 octets each.")
for name, secret in (("server", s), ("client", c), ("server-transient", st), ("client-transient", ct)):
    show(f"{name}-secret", f"the secret key of the {name.replace('-', ', ')}", secret)
show("cookie-key", "the key of the cookie", cookie_key)
show("cookie-nonce", "the nonce of the cookie", cookie_nonce)
show("welcome-nonce", "the nonce of WELCOME", welcome_nonce)
show("vouch-nonce", "the nonce of the vouch", vouch_nonce)
show("server-public", "S", S)
show("client-public", "C", C)
show("client-greeting", "client: greeting", greeting(0))
show("server-greeting", "server: greeting", greeting(1))
show("hello", "client: HELLO", frame(4, hello))
show("welcome", "server: WELCOME", frame(4, welcome))
show("initiate", "client: INITIATE, DEALER with the identity `ann`", frame(4, initiate(Ct + S)))
show("initiate-other-server", "its vouch names another server", frame(4, initiate(Ct + C)))
show("initiate-other-connection", "its vouch names another connection", frame(4, initiate(St + S)))
show("ready", "server: READY, ROUTER without an identity", frame(4, ready))
asked = message(b"C", ct, St, 3, 1, b"hello") + message(b"C", ct, St, 4, 0, b"w" * 300)
show("asked", "client: a message of `hello` and of 300 times `w`", asked)
show("answered", "server: a message of one empty frame", message(b"S", st, Ct, 2, 0, b""))
show("ping", "client: PING with a TTL of 2 s and the context `abc`", message(b"C", ct, St, 5, 2, b"\4PING\0\x14abc"))
show("pong", "server: PONG", message(b"S", st, Ct, 3, 2, b"\4PONGabc"))
