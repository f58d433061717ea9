"""Ratios of our model code to the Python reference, with the same libtorch, weights, shapes and thread count, in one run.

Both sides take turns; after each has warmed up once, the median of the repeats counts. The C++ programs must be built against the libtorch
inside the torch that runs this script:

    pip install -r tests/parity/requirements.txt
    cmake -S . -B build/wheel -G Ninja -DDIPTYCH_SERVICES=OFF -DCMAKE_PREFIX_PATH=$(python -c 'import torch; print(torch.__path__[0])')
    cmake --build build/wheel --target dit_step encoder_pass
    build/bin/diptych-random-checkpoint --preset bench-encoder --output build/bench-model/encoder
    build/bin/diptych-random-checkpoint --preset bench-dit --output build/bench-model/dit
    python bench/compare_with_reference.py --programs build/wheel/bench --models build/bench-model
"""

import argparse
import pathlib
import platform
import statistics
import subprocess
import time

import torch
from diffusers import ZImageTransformer2DModel
from transformers import AutoModel


class Program:
    """One of our contenders (bench/support/contender.h): answers each line on stdin with the milliseconds of one run."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise SystemExit(f"{command[0]} did not start")

    def __call__(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def timed(work):
    def run():
        begin = time.perf_counter()
        with torch.inference_mode():
            work()
        return 1000 * (time.perf_counter() - begin)

    return run


def compare(name, ours, theirs, repeats):
    theirs()
    times = [(ours(), theirs()) for _ in range(repeats)]
    mine, reference = [statistics.median(column) for column in zip(*times)]
    spread = [f"{min(column):.0f}..{max(column):.0f}" for column in zip(*times)]
    print(f"{name:34} ours {mine:8.1f} ms ({spread[0]})  reference {reference:8.1f} ms ({spread[1]})  "
          f"reference / ours = {reference / mine:.2f}", flush=True)
    ours.end()


def encoder(args, dtype_name, tokens):
    path = args.models / "encoder" / "text_encoder"
    model = AutoModel.from_pretrained(path, dtype=getattr(torch, dtype_name)).eval()
    ids = torch.tensor([[i * 37 % 200 for i in range(tokens)]])
    ours = Program([args.programs / "encoder_pass", "--text-encoder", path, "--dtype", dtype_name, "--tokens", str(tokens),
                    "--threads", str(args.threads)])
    reference = timed(lambda: model(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states[-2])
    compare(f"encoder {dtype_name} {tokens} tokens", ours, reference, args.repeats)


def dit(args, dtype_name, side):
    path = args.models / "dit" / "transformer"
    dtype = getattr(torch, dtype_name)
    model = ZImageTransformer2DModel.from_pretrained(path, torch_dtype=dtype).eval()
    latent = [torch.randn(16, 1, side // 8, side // 8, dtype=dtype)]
    caption = [torch.randn(40, model.config.cap_feat_dim, dtype=dtype)]
    t = torch.tensor([0.5])
    ours = Program([args.programs / "dit_step", "--transformer", path, "--dtype", dtype_name, "--width", str(side), "--height",
                    str(side), "--threads", str(args.threads)])
    compare(f"DiT step {dtype_name} {side}x{side}", ours, timed(lambda: model(latent, t, caption)), args.repeats)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=pathlib.Path, default=pathlib.Path("build/wheel/bench"))
    parser.add_argument("--models", type=pathlib.Path, default=pathlib.Path("build/bench-model"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"torch {torch.__version__}, {args.threads} threads, {platform.processor() or platform.machine()}")
    for dtype_name in ("float32", "bfloat16"):
        for tokens in (22, 128, 512):
            encoder(args, dtype_name, tokens)
        for side in (256, 512):
            dit(args, dtype_name, side)


if __name__ == "__main__":
    main()
