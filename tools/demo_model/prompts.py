"""Writes held-out prompts as JSON lines: {"prompt", "seed", "spec"}; judge.py reads them, `paint.py` and the tests paint them.

    python prompts.py --seen 200 --unseen 100 > prompts.jsonl
"""

import argparse
import json

import numpy as np

from scenes import KINDS, caption, evaluation_specs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seen", type=int, default=200, help="prompts whose shape and colour pairs were trained")
    parser.add_argument("--unseen", type=int, default=100, help="prompts with a pair that was never trained")
    parser.add_argument("--kinds", nargs="*", default=[name for name, _ in KINDS], help="single pair row rows inside plain")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    rng = np.random.default_rng([options.seed, 9])
    kinds = [(name, weight) for name, weight in KINDS if name in options.kinds]
    for index, spec in enumerate(evaluation_specs(options.seed, options.seen, options.unseen, kinds)):
        print(json.dumps({"prompt": caption(rng, spec), "seed": index, "spec": spec.to_json()}))


if __name__ == "__main__":
    main()
