"""Paints the prompts of a JSON lines file with `diptych generate`, one picture each, for judge.py.

    python paint.py --prompts prompts.jsonl --pictures FOLDER --diptych build/bin/diptych -- --render HOST:PORT
"""

import argparse
import json
import subprocess
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--prompts", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, required=True, help="folder to fill with 0000.png, 0001.png, ...")
    parser.add_argument("--diptych", default="build/bin/diptych")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("flags", nargs="*", help="further flags of `diptych generate`, after --")
    options = parser.parse_args()
    options.pictures.mkdir(parents=True, exist_ok=True)
    for index, line in enumerate(options.prompts.read_text().splitlines()):
        order = json.loads(line)
        subprocess.run(
            [options.diptych, "generate", order["prompt"], "--seed", str(order["seed"]), "--width", str(options.width), "--height",
             str(options.height), "--output", str(options.pictures / f"{index:04}.png"), *options.flags],
            check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
