"""Writes data/decode: small pictures of every kind that DecodePicture reads, and beside each what Pillow 13.0.0 makes of it.

NAME.rgb.png is exif_transpose(picture).convert("RGB"), NAME.alpha.png the alpha of convert("RGBA") if the file has any. PNGs are written
here, byte by byte, since Pillow writes few of their kinds. Not Pillow's: 16-bit grey, which it clips at 255 (the golden is the upper byte), and
transparent grey of less than 8 bits, where it compares the widened grey with the number in the file.
"""
import io
import pathlib
import random
import struct
import zlib

import numpy as np
import PIL
from PIL import Image, ImageOps

FOLDER = pathlib.Path(__file__).parent / "data" / "decode"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def packed(samples, depth):
    """Rows of samples to bytes, each row with filter 0."""
    out = b""
    for row in samples.reshape(samples.shape[0], -1):
        if depth == 16:
            out += b"\0" + row.astype(">u2").tobytes()
        elif depth == 8:
            out += b"\0" + row.astype("u1").tobytes()
        else:
            bits = "".join(format(int(v), f"0{depth}b") for v in row)
            bits += "0" * (-len(bits) % 8)
            out += b"\0" + bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
    return out


def png(samples, depth, colour, extra=b"", interlaced=False):
    height, width = samples.shape[:2]
    if interlaced:
        passes = [samples[y::dy, x::dx] for x, y, dx, dy in ADAM7]
        rows = b"".join(packed(p, depth) for p in passes if p.size)
    else:
        rows = packed(samples, depth)
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    body = chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def samples(width, height, depth, colour, seed, most=None):
    rng = np.random.default_rng(seed)
    return rng.integers(0, most or 2**depth, (height, width, CHANNELS[colour]), dtype=np.int64)


def exif(orientation, order=">"):
    mark = b"MM\0\x2a" if order == ">" else b"II\x2a\0"
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return mark + struct.pack(order + "IH", 8, 1) + entry + struct.pack(order + "I", 0)


def scene(width, height, mode="RGB"):
    """Smooth with edges, as photographs are."""
    y, x = np.mgrid[0:height, 0:width]
    channels = [
        128 + 100 * np.sin(x / 5 + c) * np.cos(y / (4 + c)) + 40 * ((x + 2 * y) % 11 > 6) - 20 for c in range(len(mode))
    ]
    pixels = np.clip(np.stack(channels, -1), 0, 255).astype(np.uint8)
    return Image.fromarray(pixels[:, :, 0] if len(mode) == 1 else pixels, mode if mode != "L" else None)


def saved(picture, kind, **how):
    out = io.BytesIO()
    picture.save(out, kind, **how)
    return out.getvalue()


def pngs():
    for depth, colour, name in [
        (1, 0, "grey1"), (2, 0, "grey2"), (4, 0, "grey4"), (8, 0, "grey8"), (16, 0, "grey16"), (8, 2, "rgb8"), (16, 2, "rgb16"),
        (8, 4, "grey_alpha8"), (16, 4, "grey_alpha16"), (8, 6, "rgba8"), (16, 6, "rgba16"),
    ]:  # fmt: skip
        yield f"{name}.png", png(samples(13, 7, depth, colour, 1), depth, colour)
        yield f"{name}_interlaced.png", png(samples(11, 9, depth, colour, 2), depth, colour, interlaced=True)
    for depth in (1, 2, 4, 8):
        entries = min(2**depth, 20)
        colours = chunk(b"PLTE", np.random.default_rng(depth).integers(0, 256, 3 * entries, dtype=np.uint8).tobytes())
        see_through = chunk(b"tRNS", bytes(60 * i % 256 for i in range(min(entries, 3))))
        indices = samples(13, 7, depth, 3, 3, most=entries)
        yield f"palette{depth}.png", png(indices, depth, 3, colours)
        yield f"palette{depth}_alpha_interlaced.png", png(indices, depth, 3, colours + see_through, interlaced=True)
    grey = samples(13, 7, 4, 0, 4)
    yield "grey4_transparent.png", png(grey, 4, 0, chunk(b"tRNS", struct.pack(">H", int(grey[3, 3, 0]))))
    grey = samples(13, 7, 16, 0, 4, most=300)
    yield "grey16_transparent.png", png(grey, 16, 0, chunk(b"tRNS", struct.pack(">H", int(grey[3, 3, 0]))))
    rgb = samples(13, 7, 8, 2, 5, most=3)
    yield "rgb8_transparent.png", png(rgb, 8, 2, chunk(b"tRNS", struct.pack(">HHH", 1, 2, 1)))
    for orientation in range(1, 9):
        order = "><"[orientation % 2]
        kind = (8, 6) if orientation == 6 else (8, 2)
        block = chunk(b"eXIf", exif(orientation, order))
        yield f"orientation{orientation}.png", png(samples(7, 4, *kind, 6), *kind, block)
    # gAMA and a profile are not applied
    yield "gamma.png", png(samples(5, 4, 8, 2, 7), 8, 2, chunk(b"gAMA", struct.pack(">I", 100000)))


def jpegs():
    colour, grey = scene(45, 35), scene(45, 35, "L")
    yield "grey.jpg", saved(grey, "JPEG", quality=80)
    for name, subsampling in (("444", 0), ("422", 1), ("420", 2)):
        yield f"{name}.jpg", saved(colour, "JPEG", quality=85, subsampling=subsampling)
    yield "progressive.jpg", saved(colour, "JPEG", quality=85, progressive=True)
    yield "progressive_grey.jpg", saved(grey, "JPEG", quality=85, progressive=True)
    yield "restarts.jpg", saved(colour, "JPEG", quality=85, restart_marker_blocks=2)
    yield "rgb.jpg", saved(colour, "JPEG", quality=85, keep_rgb=True)
    cmyk = saved(scene(33, 21, "CMYK"), "JPEG", quality=90)
    yield "cmyk.jpg", cmyk
    adobe = cmyk.index(b"Adobe") + 11  # its transform: 2 says that the same numbers are YCCK
    assert cmyk[adobe] == 0
    yield "ycck.jpg", cmyk[:adobe] + b"\2" + cmyk[adobe + 1 :]
    for orientation, order in ((6, ">"), (8, "<"), (3, "<")):
        block = b"Exif\0\0" + exif(orientation, order)
        yield f"orientation{orientation}.jpg", saved(colour, "JPEG", quality=85, exif=block)


def webps():
    colour, with_alpha = scene(45, 35), scene(45, 35, "RGBA")
    yield "lossy.webp", saved(colour, "WEBP", quality=80)
    yield "lossless.webp", saved(colour, "WEBP", lossless=True)
    yield "lossy_alpha.webp", saved(with_alpha, "WEBP", quality=80)
    yield "lossless_alpha.webp", saved(with_alpha, "WEBP", lossless=True, exact=True)
    yield "orientation7.webp", saved(colour, "WEBP", lossless=True, exif=exif(7))
    yield "orientation6_alpha.webp", saved(with_alpha, "WEBP", quality=80, exif=exif(6, "<"))


def animated():
    frames = [scene(12, 9), ImageOps.mirror(scene(12, 9))]
    yield "animated.png", saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    yield "animated.webp", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:])


def main():
    assert PIL.__version__ == "13.0.0", PIL.__version__
    random.seed(0)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, data in (*pngs(), *jpegs(), *webps()):
        (FOLDER / name).write_bytes(data)
        picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        if picture.mode.startswith("I"):
            values = np.asarray(picture)
            golden = Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
            alpha = None
            if "transparency" in picture.info:
                see_through = values == picture.info["transparency"]
                alpha = Image.fromarray(np.where(see_through, 0, 255).astype(np.uint8))
        else:
            golden = picture.convert("RGB")
            alpha = picture.convert("RGBA").getchannel("A") if picture.has_transparency_data else None
            if name == "grey4_transparent.png":
                see_through = np.asarray(picture) == 17 * picture.info["transparency"]
                alpha = Image.fromarray(np.where(see_through, 0, 255).astype(np.uint8))
        golden.save(FOLDER / f"{name}.rgb.png", optimize=True)
        if alpha is not None:
            alpha.save(FOLDER / f"{name}.alpha.png", optimize=True)
    for name, data in animated():
        (FOLDER / name).write_bytes(data)


if __name__ == "__main__":
    main()
