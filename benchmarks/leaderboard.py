"""Measures how long rendering a leaderboard of many records takes, as a whole process.

The record of one real run is copied to many methods, sparsities and seeds; the tables are the
suite's. Target: 10,000 records within 3 s. Figures are not drawn. On a busy machine only the
processor time is meaningful.

    python benchmarks/leaderboard.py [--records 10000]
"""

import argparse
import copy
import hashlib
import itertools
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dstbench.recording.run_name import run_name
from dstbench.sparsity import live_total

METHODS = ("SynFlow", "SET", "RigL", "EAST", "Static")
SPARSITIES = (0.99, 0.999, 0.9995, 0.9999)
RECORDED = Path(__file__).parent.parent / "leaderboard/records"

RENDER = """
import sys, time
from pathlib import Path
from dstbench.cli.commands.leaderboard import read_grids
from dstbench.boards.build_board import build_board
from dstbench.boards.write_files import text_files
began = time.perf_counter()
board = build_board(Path(sys.argv[1]), read_grids([]))
built = time.perf_counter()
contents = text_files(board)
rendered = time.perf_counter()
size = sum(map(len, contents.values())) / 1e6
print(f"{len(board.results)} results: board {built - began:.2f} s, "
      f"{size:.1f} MB of text {rendered - built:.2f} s; "
      f"processor time with start-up {time.process_time():.2f} s")
"""


def write_records(folder: Path, count: int) -> None:
    """Write `count` records in cells of Table 1."""
    example = json.loads(next(iter(sorted(RECORDED.glob("rigl-*.json")))).read_text())
    seeds = -(-count // (len(METHODS) * len(SPARSITIES)))
    settings = itertools.product(range(seeds), METHODS, SPARSITIES)
    for seed, method, sparsity in itertools.islice(settings, count):
        record = copy.deepcopy(example)
        record |= {"method": method, "seed": seed, "dataset": "cifar10", "model": "ResNet34",
                   "recipe": "cifar10_resnet34", "protocol": "paper"}  # fmt: skip
        prunable = record["cost"]["prunable_weights"]
        record["cost"]["live_weights"] = live = live_total(sparsity, prunable)
        measured = 1 - live / prunable
        record["sparsity"] = {"asked": sparsity, "measured": measured, "effective": measured}
        for accuracy in ("test_final", "test_at_best_val"):
            record["accuracy"][accuracy] = 50.0 + METHODS.index(method) + seed % 97 / 100
        text = re.sub(r"Run\.seed = .*", f"Run.seed = {seed}", record["config"]["text"])
        text += f"# {method} at {sparsity}\n"
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        record["config"] = {"text": text, "sha256": sha256}
        name = run_name(method, "cifar10", "ResNet34", sparsity, seed, sha256)
        (folder / f"{name}.json").write_text(json.dumps(record, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=10_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        records = Path(temporary) / "records"
        records.mkdir()
        write_records(records, args.records)
        for _ in range(3):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", RENDER, temporary], check=True)
            print(f"whole process {time.perf_counter() - began:.2f} s")


if __name__ == "__main__":
    main()
