"""Writes the seeds of prepare_source_fuzz: plans of each kind, with numbers in the order of its Input."""
import pathlib
import struct

FOLDER = pathlib.Path(__file__).parent / "seeds" / "prepare_source"
MASK, ALPHA, FROM_ALPHA, CROP, AS_THEY_ARE = 4, 8, 16, 32, 64


def seed(size, mask, to, extend=(0, 0, 0, 0), crop=0, choices=0):
    return struct.pack("<11iI", *size, *mask, *to, *extend, crop, choices) + bytes((i * 37) % 256 for i in range(48)) + bytes(40)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    seeds = {
        "stretch": seed((40, 30), (40, 30), (64, 64)),
        "crop_mask": seed((90, 30), (90, 30), (64, 48), choices=MASK | 1),
        "pad_mask": seed((31, 97), (31, 97), (80, 64), choices=MASK | 2),
        "extend": seed((40, 40), (40, 40), (96, 80), (32, 8, 24, 0), choices=2),
        "extend_mask": seed((40, 40), (40, 40), (96, 80), (0, 8, 24, 17), choices=MASK),
        "alpha": seed((50, 41), (1, 1), (64, 48), choices=ALPHA | FROM_ALPHA | 3),
        "inset": seed((200, 150), (200, 150), (64, 48), crop=16, choices=MASK | CROP),
        "inset_alpha": seed((120, 150), (1, 1), (48, 48), crop=0, choices=ALPHA | FROM_ALPHA | CROP | 2),
        "hostile": seed((10, 10), (10, 10), (2**31 - 1, 2**31 - 1), (2**31 - 1,) * 4, 2**31 - 1, MASK | CROP | AS_THEY_ARE),
        "thin": seed((1, 290), (1, 290), (290, 1), crop=5, choices=MASK | CROP),
    }
    for name, data in seeds.items():
        (FOLDER / name).write_bytes(data)


if __name__ == "__main__":
    main()
