"""Do both engines train equally well? Accuracies of the same runs by each, over three seeds.

    for e in native torch; do for m in set rigl rigl_ws east; do for s in 0.99 0.999; do
        for i in 0 1 2; do
            dstbench run $m --recipe cifar10_tiny --epochs 15 --sparsity $s --seed $i \\
                --engine $e --runs $e       # with --set "GradientClip.over='live'" for the last two
        done
    done; done; done
    python benchmarks/engine_agreement.py native torch > benchmarks/engine_agreement.json
    python benchmarks/engine_agreement.py benchmarks/engine_agreement.json      # the table

Single runs cannot be compared: rounding changes a run's losses from the third step on, as much as
another seed does after some hundred steps. So the means of seeds are, and their spread is shown.
"""

import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path

KEPT = ("versions", "device", "cpu", "threads", "commit", "dirty", "command", "engine_steps")


def runs_of(folder: Path) -> list[dict]:
    """Return what is compared of each finished run in a folder, and where it comes from."""
    found = []
    for path in sorted(folder.glob("*/record.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        found.append(
            {
                **{name: record[name] for name in ("method", "seed", "precision")},
                "engine": folder.name,
                "sparsity": record["sparsity"]["asked"],
                "accuracy": record["accuracy"]["test_final"],
                "collapsed": record["health"]["collapsed"],
                "config_sha256": record["config"]["sha256"],
                **{name: record["provenance"].get(name) for name in KEPT},
            }
        )
    return found


def table(runs: list[dict]) -> str:
    """Return test accuracies as markdown: mean ± standard deviation, and how many collapsed."""
    cells = defaultdict(list)
    for run in runs:
        cells[run["sparsity"], run["method"], run["engine"]].append(run)
    lines = ["| sparsity | method | native | torch | difference |", "|---|---|---|---|---|"]
    for sparsity, method in dict.fromkeys((key[0], key[1]) for key in sorted(cells)):
        texts, means = [], []
        for engine in ("native", "torch"):
            found = cells[sparsity, method, engine]
            values = [run["accuracy"] for run in found]
            collapsed = sum(run["collapsed"] for run in found)
            means.append(statistics.mean(values))
            texts.append(f"{means[-1]:.2f} ± {statistics.stdev(values):.2f}")
            if collapsed:
                texts[-1] += f" (collapsed {collapsed} of {len(values)})"
        difference = f"{means[0] - means[1]:+.2f}"
        lines.append(f"| {100 * sparsity:g} % | {method} | {' | '.join(texts)} | {difference} |")
    return "\n".join(lines)


if __name__ == "__main__":
    given = [Path(name) for name in sys.argv[1:]]
    if given[0].is_file():
        print(table(json.loads(given[0].read_text(encoding="utf-8"))))
    else:
        print(json.dumps([run for folder in given for run in runs_of(folder)], indent=1))
