"""What `dstbench measure` prints: a table, and how far the deployed network is ahead."""

from rich.console import Console
from rich.table import Table

from dstbench.measure.benchmark import Measurement

DEPLOYED = "deployed"


def show(measurement: Measurement) -> None:
    """Print a measurement."""
    console = Console(highlight=False, width=200, markup=False)
    live, prunable = measurement["live_weights"], measurement["prunable_weights"]
    channels, height, width = measurement["image_shape"]
    dataset = measurement["dataset"] or "random images"
    console.print(
        f"{measurement['method']} · {measurement['model']} · {dataset} "
        f"({channels}×{height}×{width}) · {live:,} live of {prunable:,} weights"
    )
    on_cpu = measurement["device"] == "cpu"
    device = measurement["cpu"] if on_cpu else measurement["device"]
    console.print(
        f"{device} · threads: {measurement['threads']} · torch {measurement['versions']['torch']} "
        f"· medians of {_calls(measurement)} calls"
    )
    console.print()
    console.print(table(measurement))
    console.print()
    for line in best_lines(measurement):
        console.print(line)
    for name, reason in measurement["failed"].items():
        console.print(f"Not measured: {name} ({reason})")
    for batch, reason in measurement.get("not_timed", {}).items():
        console.print(f"Not measured: batch {batch} ({reason})")


def _calls(measurement: Measurement) -> str:
    """Return how many calls were timed: one number, or the range over batch sizes."""
    counts = {t.get("calls", measurement["repeats"]) for t in measurement["timings"]}
    return "–".join(map(str, sorted({min(counts), max(counts)})))


def table(measurement: Measurement) -> Table:
    """Return one row for each form and batch size; × is relative to the fastest dense forms."""
    rows = Table(box=None, pad_edge=False)
    for column in ("batch", "form"):
        rows.add_column(column)
    for column in ("ms", "quartiles", "images/s", "× best dense fp32", "× best dense"):
        rows.add_column(column, justify="right", min_width=9)
    latency, previous = _latencies(measurement), None
    for t in measurement["timings"]:
        batch = t["batch"]
        fp32, best = (names[str(batch)] for names in _best(measurement).values())
        lower, upper = t["quartiles_ms"]
        mark = " (best dense)" if t["form"] == best else ""
        mark = " (best dense fp32)" if t["form"] == fp32 != best else mark
        rows.add_row(
            f"{batch}" if batch != previous else "",
            t["form"] + mark,
            f"{t['latency_ms']:.4g}",
            f"{lower:.4g}–{upper:.4g}",
            f"{t['images_per_s']:,.0f}",
            *(f"{latency[form, batch] / t['latency_ms']:.3g}" for form in (fp32, best)),
        )
        previous = batch
    return rows


def best_lines(measurement: Measurement) -> list[str]:
    """Return a line about each of the best dense forms, and one where they are not behind."""
    latency = _latencies(measurement)
    batches = sorted({batch for _, batch in latency})
    deployed = {batch: latency.get((DEPLOYED, batch)) for batch in batches}
    lines = []
    for title, names in _best(measurement).items():
        parts = []
        for batch in batches:
            form, own = names[str(batch)], deployed[batch]
            ahead = f", deployed {latency[form, batch] / own:.3g}×" if own else ""
            parts.append(f"batch {batch}: {form}{ahead}")
        lines.append(f"{title}  {' · '.join(parts)}")
    behind = [
        batch
        for batch, own in deployed.items()
        if own and own >= latency[_best(measurement)[_ANY][str(batch)], batch]
    ]
    if behind:
        ahead = ", ".join(sorted({_best(measurement)[_ANY][str(batch)] for batch in behind}))
        lines.append(
            f"At batch {', '.join(map(str, behind))} deployed is not ahead of {ahead}: "
            "there network.onnx, which `dstbench deploy` writes, is the one to run."
        )
    return lines


_ANY = "best dense, any precision"


def _best(measurement: Measurement) -> dict[str, dict[str, str]]:
    """Return title → batch size → name of the fastest dense form."""
    fp32 = measurement["best_dense"]
    return {"best dense, fp32         ": fp32, _ANY: measurement.get("best_dense_any", fp32)}


def _latencies(measurement: Measurement) -> dict[tuple[str, int], float]:
    return {(t["form"], t["batch"]): t["latency_ms"] for t in measurement["timings"]}
