"""What both training scripts need to stop and go on: a log file and checkpoints that a crash cannot halve."""

import os
from pathlib import Path

import torch


class Log:
    """Appends lines to a file and prints them."""

    def __init__(self, path: Path):
        self.path = path

    def write(self, line: str) -> None:
        print(line, flush=True)
        with self.path.open("a") as file:
            file.write(line + "\n")


def save_state(path: Path, step: int, **parts) -> None:
    """Writes the state of modules and optimisers after `step` steps."""
    temporary = path.with_suffix(".new")
    torch.save({"step": step, **{name: part.state_dict() for name, part in parts.items()}}, temporary)
    os.replace(temporary, path)


def keep_seed(path: Path, seed: int) -> None:
    """Ends the program when an earlier run in this folder had another seed: going on would mix the two."""
    if path.exists() and int(path.read_text()) != seed:
        raise SystemExit(f"{path} says that this folder's run has seed {path.read_text().strip()}; give that, or another folder")
    path.write_text(f"{seed}\n")


def load_state(path: Path, **parts) -> int:
    """Restores what save_state wrote and returns its step; 0 when there is nothing to go on from."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return state["step"]
