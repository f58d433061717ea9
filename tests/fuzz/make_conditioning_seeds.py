"""Writes the seeds of conditioning_stream_fuzz: whole streams and streams with one broken rule each.

    python3 tests/fuzz/make_conditioning_seeds.py tests/fuzz/seeds/conditioning_stream

Encodes the few protobuf fields by hand, so it needs Python alone.
"""
import hashlib
import pathlib
import struct
import sys


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value) if value else b""


def block(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data if data else b""


def header(rows=2, width=3, dtype=1, fingerprint="a" * 64):
    layer = 3  # sint32 -2, zigzag
    fields = block(1, fingerprint.encode()) + number(4, rows) + number(5, layer) + number(6, 2)
    return block(1, fields + number(7, dtype) + number(8, rows) + number(9, width))


def chunk(offset, data):
    return block(2, number(1, offset) + block(2, data))


def trailer(data, count=None):
    return block(3, number(1, len(data) if count is None else count) + block(2, hashlib.sha256(data).hexdigest().encode()))


def stream(*frames, mend=False):
    return bytes([mend]) + b"".join(struct.pack("<I", len(f)) + f for f in frames)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    twelve = bytes(range(12))
    floats = struct.pack("<6f", *[0.5 * i for i in range(6)])
    seeds = {
        "whole": stream(header(), chunk(0, twelve), trailer(twelve)),
        "whole_two_chunks": stream(header(), chunk(0, twelve[:5]), chunk(5, twelve[5:]), trailer(twelve)),
        "whole_float32": stream(header(dtype=2), chunk(0, floats), trailer(floats)),
        "whole_unknown_origin": stream(header(fingerprint=""), chunk(0, twelve), trailer(twelve), mend=True),
        "mended": stream(header(), chunk(0, twelve[:5]), chunk(5, twelve[5:]), trailer(b"", count=12), mend=True),
        "second_header": stream(header(), header(), chunk(0, twelve), trailer(twelve)),
        "gap": stream(header(), chunk(0, twelve[:5]), chunk(6, twelve[6:]), trailer(twelve)),
        "too_long": stream(header(rows=1), chunk(0, twelve), trailer(twelve)),
        "no_trailer": stream(header(), chunk(0, twelve)),
        "behind_trailer": stream(header(), chunk(0, twelve), trailer(twelve), trailer(twelve)),
        "huge_header": stream(header(rows=65536, width=2048), chunk(0, twelve), trailer(twelve)),
        "absurd_header": stream(header(rows=1 << 62, width=4)),
    }
    for name, data in seeds.items():
        (folder / f"{name}.bin").write_bytes(data)


if __name__ == "__main__":
    main()
