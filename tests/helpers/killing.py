"""Kills a run at random moments until it is done, and compares it with one that was never stopped.

As a script it does so many times:

    PYTHONPATH=tests python -m helpers.killing [--times 50] [--seed 0]
"""

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from helpers.forked import Forked, dstbench

RUN = (
    "run", "methods/rigl.gin", "--sparsity", "0.8",
    "--set", "Run.epochs=8", "--set", "ResNet20.width=8", "--set", "precision='fp32'",
    "--device", "cpu", "--threads", "1", "--tracking", "off", "--checkpoint-seconds", "0.2",
)  # fmt: skip


def start(runs: Path, *options: str) -> Forked:
    """Start or resume the run in another process."""
    return dstbench(*RUN, "--runs", str(runs), *options)


def finish(runs: Path, *options: str) -> Forked:
    """Run to the end; return the process, which has ended."""
    process = start(runs, *options)
    assert process.wait() == 0, process.errors
    return process


def kill_once(runs: Path, after: float, *options: str) -> int | None:
    """Start, and kill after so many seconds; return the exit code, None if it was done before."""
    process = start(runs, *options)
    if process.wait(after) is not None:
        return None
    process.send_signal(signal.SIGKILL)
    return process.wait()


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
        began = time.monotonic()
        finish(Path(scratch) / "whole")
        whole = time.monotonic() - began
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
