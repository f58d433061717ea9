"""Writes data/resize: what Pillow 13.0.0 makes of noise with resize(LANCZOS), for resize_test. The sources are not kept: both compute them."""
import pathlib

import numpy as np
import PIL
from PIL import Image

FOLDER = pathlib.Path(__file__).parent / "data" / "resize"

# Width and height before and after. 13.0.0 runs the columns first where the height shrinks by more than twice what the width does.
SIZES = [
    ((64, 48), (64, 48)),  # as it is
    ((17, 13), (48, 40)),  # grows on both axes
    ((96, 80), (40, 32)),  # shrinks on both
    ((40, 96), (32, 33)),  # columns first
    ((61, 90), (50, 68)),  # rows first: exactly at the rule's border
    ((61, 91), (50, 68)),  # columns first: beside it
    ((50, 90), (61, 70)),  # wider and lower
    ((90, 50), (70, 61)),  # narrower and higher
    ((64, 48), (64, 20)),  # one axis
    ((64, 48), (33, 48)),
    ((64, 48), (65, 48)),
    ((3000, 2), (16, 16)),  # extreme ratios
    ((3, 2500), (40, 9)),
    ((1, 1), (16, 8)),  # sides of 1 px
    ((1, 40), (20, 1)),
    ((40, 1), (1, 20)),
    ((50, 40), (1, 1)),
    ((2, 2), (31, 29)),
]


def noise(width, height, channels):
    """As Noise() of resize_test.cc: bytes of a linear congruential generator, half of them moved to 0 or 255."""
    state = width * 7919 + height * 104729 + channels
    values = np.empty(width * height * channels, np.uint8)
    for i in range(values.size):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        byte = state >> 56
        values[i] = (0 if byte < 128 else 255) if (state >> 40) % 2 else byte
    return values.reshape((height, width, channels) if channels > 1 else (height, width))


def main():
    assert PIL.__version__ == "13.0.0", PIL.__version__
    FOLDER.mkdir(parents=True, exist_ok=True)
    for before, after in SIZES:
        for channels, mode in ((3, "rgb"), (1, "grey")):
            picture = Image.fromarray(noise(*before, channels)).resize(after, Image.Resampling.LANCZOS)
            name = f"{before[0]}x{before[1]}_{after[0]}x{after[1]}_{mode}.png"
            picture.save(FOLDER / name, optimize=True)


if __name__ == "__main__":
    main()
