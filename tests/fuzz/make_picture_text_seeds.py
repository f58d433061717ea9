#!/usr/bin/env python3
"""Writes seeds/exif and seeds/webp: small blocks and files for exif_fuzz and webp_fuzz."""

import json
import pathlib
import struct

HERE = pathlib.Path(__file__).parent / "seeds"


def exif(order, note, comment):
    """A TIFF structure: one folder that names the EXIF folder, which holds a MakerNote and a UserComment."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    values = [(0x927C, b"diptych\0" + note), (0x9286, b"UNICODE\0" + comment)]
    place = 8 + 2 + 12 + 4 + 2 + 12 * len(values) + 4
    out = mark + struct.pack(order + "I", 8)
    out += struct.pack(order + "HHHIII", 1, 0x8769, 4, 1, 26, 0)
    out += struct.pack(order + "H", len(values))
    data = b""
    for tag, value in values:
        out += struct.pack(order + "HHII", tag, 7, len(value), place + len(data))
        data += value
    return out + struct.pack(order + "I", 0) + data


def webp(*chunks):
    body = b"WEBP"
    for name, data in chunks:
        body += name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def main():
    note = json.dumps({"diptych": "a receipt", "x": 1}).encode()
    comment = "parameters \u00e9 \U0001f431".encode("utf-16-be")
    for folder in ("exif", "webp"):
        (HERE / folder).mkdir(parents=True, exist_ok=True)
    for name, order in (("big", ">"), ("little", "<")):
        (HERE / "exif" / name).write_bytes(exif(order, note, comment))
        block = exif(order, note, comment)
        (HERE / "webp" / name).write_bytes(webp((b"VP8X", bytes(10)), (b"VP8L", b"\x2f"), (b"EXIF", block)))
    (HERE / "exif" / "app1").write_bytes(b"Exif\0\0" + exif(">", b"{}", b""))
    (HERE / "webp" / "plain").write_bytes(webp((b"VP8 ", bytes(10))))


if __name__ == "__main__":
    main()
