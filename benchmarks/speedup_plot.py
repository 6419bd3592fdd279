"""Draws how many times faster deployed networks are than the best dense ones, over sparsity.

    python benchmarks/speedup_plot.py docs/speedup.png leaderboard/measurements/worst_case-*.json

reads what `dstbench measure --json` wrote, of one network and one machine, and writes PNG and SVG.
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from dstbench.boards.measurement_files import speed_rows
from dstbench.boards.row_types import SpeedRow

RIVALS = {"speedup": ("fp32", "-"), "speedup_any": ("any precision", ":")}


def plot(rows: list[SpeedRow], title: str, path: Path) -> None:
    """Draw a line for each batch size and rival, from the rows of deployed networks."""
    figure, axes = pyplot.subplots(figsize=(6.5, 4), layout="constrained")
    for rival, (name, style) in RIVALS.items():
        for color, batch in enumerate(sorted({row.batch for row in rows})):
            of_batch = [row for row in rows if row.batch == batch]
            axes.plot(
                [100 * (1 - row.sparsity) for row in of_batch],
                [getattr(row, rival) for row in of_batch],
                style,
                color=f"C{color}",
                marker="o",
                markersize=3,
                label=f"batch {batch}, best {name}",
            )
    axes.axhline(1, color="grey", linewidth=0.8)
    axes.set(xscale="log", yscale="log")
    live = sorted({100 * (1 - row.sparsity) for row in rows})
    axes.set_xticks(live, [f"{x:.3g}" for x in live])
    axes.minorticks_off()
    axes.set_yticks([1, 2, 5, 10, 20, 50, 100, 200], [1, 2, 5, 10, 20, 50, 100, 200])
    axes.set(xlabel="live weights (%)", ylabel="times faster than the best dense form")
    axes.set_title(title, fontsize="medium")
    axes.invert_xaxis()
    axes.legend(fontsize="small")
    for suffix in (".png", ".svg"):
        figure.savefig(path.with_suffix(suffix), dpi=150)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("picture", type=Path)
    options.add_argument("measurements", nargs="+", type=Path)
    args = options.parse_args()
    measurements = [json.loads(path.read_text(encoding="utf-8")) for path in args.measurements]
    measurements.sort(key=lambda m: m["sparsity"]["asked"])
    rows = [r for m in measurements for r in speed_rows(m, "") if r.form == "deployed"]
    if len({(row.model, row.machine) for row in rows}) != 1:
        options.error("measurements of one deployed network on one machine only")
    plot(rows, f"{measurements[0]['model']}, {measurements[0]['cpu']}", args.picture)


if __name__ == "__main__":
    main()
