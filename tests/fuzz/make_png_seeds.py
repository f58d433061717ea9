"""Writes the seeds of png_fuzz: small PNGs of each colour type, with text chunks, one of them interlaced."""
import pathlib
import struct
import zlib

FOLDER = pathlib.Path(__file__).parent / "seeds" / "png"


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, depth, colour, row_bytes, interlace=0, extra=b"") -> bytes:
    rows = b"".join(bytes([y % 5]) + bytes((x * 7 + y) % 256 for x in range(row_bytes)) for y in range(height))
    if interlace:  # seven passes of one pixel each at most: only used for a 1x1 picture
        rows = rows[: 1 + row_bytes]
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    body = chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    text = chunk(b"tEXt", b"diptych\0" + b'{"schema":1}')
    ztxt = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"caf\xe9 " * 40))
    itxt = chunk(b"iTXt", b"parameters\0\0\0en\0\0" + "Größe 句".encode())
    palette = chunk(b"PLTE", bytes(range(12))) + chunk(b"tRNS", b"\x00\x80")
    seeds = {
        "rgb8.png": png(5, 4, 8, 2, 15, extra=text + itxt),
        "rgba16.png": png(3, 3, 16, 6, 24, extra=ztxt),
        "grey1.png": png(9, 3, 1, 0, 2),
        "palette2.png": png(4, 4, 2, 3, 1, extra=palette),
        "interlaced.png": png(1, 1, 8, 2, 3, interlace=1),
    }
    for name, data in seeds.items():
        (FOLDER / name).write_bytes(data)


if __name__ == "__main__":
    main()
