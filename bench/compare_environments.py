"""Render daemons that differ in their environment paint the same pictures in turns; prints medians and ratios to the first.

  python3 bench/compare_environments.py --rounds 8 --busy 2 default passive,OMP_WAIT_POLICY=passive

With --in-turn each picture is painted twice, alone and beside the busy processes; the ratio of whole pictures is printed too.
"""
import argparse
import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / "build" / "bin"


def start(processes, name, arguments, environment, folder):
    """A daemon on a free port; its address, once its model is loaded."""
    log = open(f"{folder}/{name}.log", "w")
    daemon = subprocess.Popen(arguments + ["--listen", "127.0.0.1:0"], env={**os.environ, **environment},
                              stdout=subprocess.PIPE, stderr=log, text=True)
    processes.append(daemon)
    address = json.loads(daemon.stdout.readline())["listening"]
    while f"listening on {address}" not in Path(log.name).read_text() and daemon.poll() is None:
        time.sleep(0.05)
    return address


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("contenders", nargs="+", metavar="NAME[,VARIABLE=VALUE]...")
    parser.add_argument("--model-path", default=str(ROOT / "models" / "demo"))
    parser.add_argument("--side", type=int, default=128, help="px")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--busy", type=int, default=0, help="processes that compute beside, at the usual priority")
    parser.add_argument("--in-turn", action="store_true", help="the busy processes pause for every other picture")
    parser.add_argument("--nice", type=int, default=0, help="of all daemons; -20 (root) for a machine that is not idle")
    args = parser.parse_args()

    processes = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            model = ["--model-path", args.model_path]
            busy = [subprocess.Popen(["sha256sum", "/dev/zero"]) for _ in range(args.busy)]
            processes += busy

            def tell(number):
                for process in busy if args.in_turn else []:
                    process.send_signal(number)

            tell(signal.SIGSTOP)
            os.nice(args.nice)
            encoder = start(processes, "encoder", [str(BIN / "diptych-encoderd")] + model, {}, folder)
            renderers = {}
            for contender in args.contenders:
                name, *variables = contender.split(",")
                arguments = [str(BIN / "diptych-renderd"), "--encoder", encoder, "--state-dir", f"{folder}/{name}"]
                renderers[name] = start(processes, name, arguments + model, dict(v.split("=", 1) for v in variables), folder)
            steps = {name: [] for name in renderers}  # ms
            totals = {name: ([], []) for name in renderers}  # ms of a picture: alone, beside; with --in-turn
            for number in range(args.rounds + 1):  # the first warms up
                for name, beside in [(n, b) for n in list(renderers)[:: 1 if number % 2 else -1]
                                     for b in ([False, True] if args.in_turn else [True])]:
                    side = str(args.side)
                    tell(signal.SIGCONT if beside else signal.SIGSTOP)
                    picture = subprocess.run(
                        [str(BIN / "diptych"), "generate", "a red circle", "--render", renderers[name], "--width", side,
                         "--height", side, "--seed", str(number), "--json", "--output", f"{folder}/{name}.png"],
                        check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                    if number > 0:
                        timings = json.loads(picture.stdout)["timings"]
                        totals[name][beside].append(sum(timings["step_ms"]) + timings["refine_ms"] + timings["decode_ms"])
                        if beside:
                            steps[name] += timings["step_ms"]
            first = statistics.median(next(iter(steps.values())))
            print(f"{args.side}x{args.side}, {args.rounds} rounds, {args.busy} busy, nice {args.nice}, "
                  f"load averages {os.getloadavg()}")
            for name, values in steps.items():
                tenths = statistics.quantiles(values, n=10)
                median = statistics.median(values)
                print(f"{name:20} step {median:8.1f} ms ({tenths[0]:.1f}..{tenths[-1]:.1f}), {median / first:.2f} times the first")
                if args.in_turn:
                    alone, beside = map(statistics.median, totals[name])
                    print(f"{'':20} picture alone {alone:8.1f} ms, beside {beside:8.1f} ms, ratio {beside / alone:.2f}")
        finally:
            for process in processes:
                process.kill()
                process.wait()


if __name__ == "__main__":
    main()
