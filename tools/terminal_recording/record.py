#!/usr/bin/env python3
"""Records what `diptych generate --count 3` shows on a terminal, as text.

    python3 tools/terminal_recording/record.py --bin build/bin --columns 100 > docs/terminal/generate_100.txt

Starts the demo pair, runs the command on a pseudo terminal of so many columns, and prints the screen's last line each time
that it changes, with the time since the start. A line that the program draws over itself stands once for each drawing.
"""
import argparse
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
COMMAND = ["generate", "two green squares", "--width", "384", "--height", "384", "--seed", "7", "--count", "3", "--output", "squares.png"]


def start(program, *arguments):
    process = subprocess.Popen([program, *arguments, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return process, json.loads(process.stdout.readline())["listening"]


def run_on_terminal(command, columns, folder, environment):
    """Yields (seconds, bytes) as the program writes them."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execve(command[0], command, environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    begin = time.monotonic()
    while True:
        if not select.select([terminal], [], [], 60)[0]:
            raise SystemExit("the program says nothing for a minute")
        try:
            data = os.read(terminal, 1 << 16)
        except OSError:  # the program has ended
            data = b""
        if not data:
            break
        yield time.monotonic() - begin, data
    os.waitpid(pid, 0)


def lines_shown(output):
    """Each state of a line that somebody could have read: what stood before a carriage return, and before a line's end."""
    line, rest = "", ""
    for seconds, data in output:
        for part in re.findall(r"\r\n|\r|\n|\x1b\[K|[^\r\n\x1b]+|\x1b", rest + data.decode(errors="replace")):
            if part == "\x1b[K":
                continue
            if part in ("\r\n", "\n", "\r"):
                if line.strip():
                    yield seconds, line
                line = ""
            else:
                line += part
    if line.strip():
        yield seconds, line


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--bin", default="build/bin")
    options.add_argument("--columns", type=int, default=100)
    options.add_argument("--term", default="xterm")
    options = options.parse_args()
    programs = pathlib.Path(options.bin).resolve()
    model = str(SOURCE / "models/demo")
    daemons = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            encoder, address = start(programs / "diptych-encoderd", "--model-path", model)
            daemons.append(encoder)
            renderer, render = start(programs / "diptych-renderd", "--model-path", model, "--encoder", address, "--state-dir", folder + "/state")
            daemons.append(renderer)
            environment = {k: v for k, v in os.environ.items() if k not in ("CI", "NO_COLOR", "DIPTYCH_CONFIG")}
            environment |= {"TERM": options.term, "DIPTYCH_RENDER": render}
            for _ in range(300):  # until the model is loaded
                if subprocess.run([programs / "diptych", "nodes"], env=environment, capture_output=True).returncode == 0:
                    break
                time.sleep(0.2)
            shown = " ".join(f'"{word}"' if " " in word else word for word in COMMAND)
            print(f"# {options.columns} columns, TERM={options.term}; made by: python3 tools/terminal_recording/record.py "
                  f"--bin build/bin --columns {options.columns}" + (f" --term {options.term}" if options.term != "xterm" else ""))
            print(f"$ diptych {shown}")
            output = run_on_terminal([str(programs / "diptych"), *COMMAND], options.columns, folder, environment)
            for seconds, line in lines_shown(output):
                print(f"{seconds:7.2f} s  {line}")
        finally:
            for daemon in daemons:
                daemon.send_signal(signal.SIGTERM)
            for daemon in daemons:
                daemon.wait()


if __name__ == "__main__":
    sys.exit(main())
