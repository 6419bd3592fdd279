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

RIVALS = {"best_dense": ("fp32", "-"), "best_dense_any": ("any precision", ":")}


def speedups(measurement: dict, rival: str) -> dict[int, float]:
    """Return batch size → latency of the named rival over that of the deployed network."""
    latency = {(t["batch"], t["form"]): t["latency_ms"] for t in measurement["timings"]}
    return {
        int(batch): latency[int(batch), name] / latency[int(batch), "deployed"]
        for batch, name in measurement[rival].items()
    }


def plot(measurements: list[dict], path: Path) -> None:
    """Draw a line for each batch size and rival."""
    measurements = sorted(measurements, key=lambda m: m["sparsity"]["asked"])
    live = [100 * (1 - m["sparsity"]["asked"]) for m in measurements]
    figure, axes = pyplot.subplots(figsize=(6.5, 4), layout="constrained")
    for rival, (name, style) in RIVALS.items():
        ratios = [speedups(measurement, rival) for measurement in measurements]
        for color, batch in enumerate(sorted({batch for by_batch in ratios for batch in by_batch})):
            axes.plot(
                live,
                [by_batch.get(batch, float("nan")) for by_batch in ratios],
                style,
                color=f"C{color}",
                marker="o",
                markersize=3,
                label=f"batch {batch}, best {name}",
            )
    axes.axhline(1, color="grey", linewidth=0.8)
    axes.set(xscale="log", yscale="log")
    axes.set_xticks(live, [f"{x:.3g}" for x in live])
    axes.minorticks_off()
    axes.set_yticks([1, 2, 5, 10, 20, 50, 100, 200], [1, 2, 5, 10, 20, 50, 100, 200])
    axes.set(xlabel="live weights (%)", ylabel="times faster than the best dense form")
    axes.set_title(f"{measurements[0]['model']}, {measurements[0]['cpu']}", fontsize="medium")
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
    if len({(m["model"], m["cpu"], m["threads"]) for m in measurements}) > 1:
        options.error("measurements of one network on one machine only")
    plot(measurements, args.picture)


if __name__ == "__main__":
    main()
