"""Puts pictures of one size side by side into one PNG.

    python contact_sheet.py --pictures FOLDER --columns 8 --out sheet.png
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    pictures = [np.array(Image.open(path).convert("RGB")) for path in sorted(options.pictures.glob("*.png"))[: options.count]]
    pictures = [np.pad(picture, ((2, 2), (2, 2), (0, 0)), constant_values=128) for picture in pictures]
    rows = [np.concatenate(pictures[index:index + options.columns], 1)
            for index in range(0, len(pictures) // options.columns * options.columns, options.columns)]
    Image.fromarray(np.concatenate(rows)).save(options.out, optimize=True)


if __name__ == "__main__":
    main()
