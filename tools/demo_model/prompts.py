"""Writes held-out prompts as JSON lines: {"prompt", "seed", "spec"} for judge.py and the tests, and for `diptych generate --prompts`
{"prompt", "seed", "output"}.

    python prompts.py --seen 200 --unseen 100 --specs specs.jsonl --prompts prompts.jsonl --pictures FOLDER
"""

import argparse
import json
from pathlib import Path

import numpy as np

from scenes import KINDS, caption, evaluation_specs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seen", type=int, default=200, help="prompts whose shape and colour pairs were trained")
    parser.add_argument("--unseen", type=int, default=100, help="prompts with a pair that was never trained")
    parser.add_argument("--kinds", nargs="*", default=[name for name, _ in KINDS], help="single pair row rows inside plain")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--specs", type=Path, required=True, help="file to write: what judge.py asks of each picture")
    parser.add_argument("--prompts", type=Path, help="file to write: what `diptych generate --prompts` paints")
    parser.add_argument("--pictures", type=Path, default=Path("."), help="folder where it puts 0000.png, 0001.png, ...")
    options = parser.parse_args()
    rng = np.random.default_rng([options.seed, 9])
    kinds = [(name, weight) for name, weight in KINDS if name in options.kinds]
    specs, prompts = [], []
    for index, spec in enumerate(evaluation_specs(options.seed, options.seen, options.unseen, kinds)):
        order = {"prompt": caption(rng, spec), "seed": index}
        specs.append(json.dumps({**order, "spec": spec.to_json()}) + "\n")
        prompts.append(json.dumps({**order, "output": str(options.pictures / f"{index:04}.png")}) + "\n")
    options.specs.write_text("".join(specs))
    if options.prompts:
        options.prompts.write_text("".join(prompts))


if __name__ == "__main__":
    main()
