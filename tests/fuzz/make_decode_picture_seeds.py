"""Copies small pictures of each kind from the goldens of decode_picture_test to the seeds of decode_picture_fuzz, and an EXIF block alone."""
import pathlib
import shutil

HERE = pathlib.Path(__file__).parent
GOLDENS = HERE.parent / "unit" / "common" / "image" / "data" / "decode"
FOLDER = HERE / "seeds" / "decode_picture"

NAMES = [
    "grey1_interlaced.png", "grey_alpha16.png", "palette4_alpha_interlaced.png", "rgba16_interlaced.png", "rgb8_transparent.png", "orientation5.png",
    "animated.png", "420.jpg", "progressive.jpg", "restarts.jpg", "ycck.jpg", "orientation8.jpg", "grey.jpg", "lossy.webp", "lossy_alpha.webp",
    "lossless_alpha.webp", "orientation7.webp", "animated.webp",
]  # fmt: skip


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        shutil.copy(GOLDENS / name, FOLDER / name)
    for byte_order, block in (("big", b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"),
                              ("little", b"II\x2a\0\x08\0\0\0\x01\0\x12\x01\x04\0\x01\0\0\0\x05\0\0\0\0\0\0\0")):  # fmt: skip
        (FOLDER / f"exif_{byte_order}").write_bytes(block)


if __name__ == "__main__":
    main()
