"""Kills a run at random moments until it is done, and compares it with one that was never stopped.

As a script it does so many times:

    PYTHONPATH=tests python -m helpers.killing [--times 50] [--seed 0]
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

COMMAND = [
    sys.executable, "-m", "dstbench", "run", "methods/rigl.gin", "--sparsity", "0.8",
    "--set", "Run.epochs=8", "--set", "ResNet20.width=8", "--set", "precision='fp32'",
    "--device", "cpu", "--threads", "1", "--tracking", "off", "--checkpoint-seconds", "0.2",
]  # fmt: skip


def start(runs: Path) -> subprocess.Popen:
    """Start or resume the run in another process."""
    command = [*COMMAND, "--runs", str(runs)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(runs: Path) -> float:
    """Run to the end; return the seconds it took."""
    began = time.monotonic()
    process = start(runs)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    return time.monotonic() - began


def kill_once(runs: Path, after: float, with_signal: int = signal.SIGKILL) -> int | None:
    """Start, and kill after so many seconds; return the exit code, None if it was done before."""
    process = start(runs)
    try:
        process.communicate(timeout=after)
        return None
    except subprocess.TimeoutExpired:
        process.send_signal(with_signal)
        process.communicate()
        return process.returncode


def outcome(runs: Path) -> dict[str, Any]:
    """Return everything about a finished run that must not depend on how often it was killed."""
    (folder,) = runs.iterdir()
    record = json.loads((folder / "record.json").read_text())
    curves = [json.loads(line) for line in (folder / "curves.jsonl").read_text().splitlines()]
    for line in curves:
        del line["time"]
    kept = ("status", "sparsity", "accuracy", "cost", "health", "config", "predictions", "network")
    networks = {
        name: torch.load(folder / name, weights_only=True)["network"]
        for name in ("network.pt", "best.pt")
    }
    return {"record": {k: record[k] for k in kept}, "curves": curves, "networks": networks}


def same(one: Any, other: Any) -> bool:
    """Return whether two outcomes are equal, tensors bit for bit."""
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return one == other


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--times", type=int, default=50, help="kills in all")
    options.add_argument("--seed", type=int, default=0)
    args = options.parse_args()
    chance = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as scratch:
        whole = finish(Path(scratch) / "whole")
        expected = outcome(Path(scratch) / "whole")
        kills = rounds = 0
        while kills < args.times:
            runs = Path(scratch) / f"killed{rounds}"
            while kills < args.times:
                code = kill_once(runs, chance.uniform(0.0, 1.2 * whole))
                if code is None:
                    break
                kills += 1
            else:
                finish(runs)
            rounds += 1
            if not same(expected, outcome(runs)):
                sys.exit(f"round {rounds}, after {kills} kills: the outcome differs")
            print(f"{kills} kills, {rounds} runs finished, all identical", flush=True)


if __name__ == "__main__":
    main()
