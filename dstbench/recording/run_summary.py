"""The summary that is printed when a run ends, one field a line."""

from collections.abc import Mapping

from dstbench.recording.budget import budget_problem
from dstbench.recording.types import Override, Record
from dstbench.recording.uncounted import uncounted_text, unpruned_text
from dstbench.sparsity import percent

COLLAPSED = "yes: the network answers no better than chance"


def run_summary(record: Record, path: str, tracked: str) -> str:
    """Return the summary as aligned lines `label  value`.

    record: of a run that is over.
    path: of the record's file.
    tracked: where the run is in MLflow, or why it is not.
    """
    rows = [*summary_rows(record), ("record", path), ("MLflow", tracked)]
    width = max(len(label) for label, _ in rows)
    return "\n".join(f"{label:<{width}}  {value}" for label, value in rows)


def summary_rows(record: Record) -> list[tuple[str, str]]:
    """Return the (label, value) pairs of a record; status alone for a run that did not finish."""
    accuracy, sparsity, cost = record["accuracy"], record["sparsity"], record["cost"]
    rows = [
        (
            "run",
            f"{record['method']} · {record['model']} · {record['dataset']} · seed {record['seed']}"
            f" · {record['protocol']} · {record['precision']}",
        )
    ]
    if record["status"] != "finished":
        reason = f": {record['error']}" if record["error"] else ""
        return [*rows, ("status", record["status"] + reason)]
    at_best = (
        "none (no epoch counted)"
        if accuracy["test_at_best_val"] is None
        else f"{accuracy['test_at_best_val']:.2f} %  (epoch {accuracy['best_epoch']}, "
        f"validation {accuracy['best_val']:.2f} %)"
    )
    effective = sparsity["effective"]
    shown = "unknown" if effective is None else percent(effective)
    if cost.get("offset_macs"):
        shown += " (the dense offset connects every weight)"
    rows += [
        ("test accuracy", f"{accuracy['test_final']:.2f} %  (final epoch)"),
        ("  at best validation", at_best),
        (
            "sparsity",
            f"asked {percent(sparsity['asked'])} · measured {percent(sparsity['measured'])}"
            f" · effective {shown}",
        ),
        (
            "MACs",
            f"{_count(cost['macs'])} of {_count(cost['dense_macs'])} dense "
            f"({cost['macs'] / max(cost['dense_macs'], 1):.4f}×)",
        ),
        *_row("  not counted", uncounted_text(cost)),
        ("weights", _weights(record)),
        *_row("  never pruned", unpruned_text(sparsity)),
    ]
    counts = (cost["live_weights"], cost["prunable_weights"], cost["stored_weights"])
    if problem := budget_problem(sparsity["asked"], *counts):
        rows.append(("off its budget", f"{problem}; no leaderboard shows it"))
    rows += _row("engine", _engine_text(record["provenance"].get("engine_steps", {})))
    rows += [("recipe override", override_text(o)) for o in record.get("overrides", ())]
    if accuracy["selected_on_test"]:
        rows.append(("selected on test", "yes: the best epoch was chosen on the test images"))
    if record["health"]["collapsed"]:
        rows.append(("collapsed", COLLAPSED))
    return rows


def _engine_text(steps: Mapping[str, int]) -> str | None:
    """Return the steps of each engine, where not all were torch's."""
    if not steps.get("native"):
        return None
    return " · ".join(f"{name} {count:,} steps" for name, count in steps.items())


def _row(label: str, value: str | None) -> list[tuple[str, str]]:
    """Return the row, if there is a value."""
    return [] if value is None else [(label, value)]


def _weights(record: Record) -> str:
    """Return the live weights, and how many of them are exactly zero, if any."""
    cost, zeros = record["cost"], record["health"].get("live_zeros")
    text = f"{cost['live_weights']:,} live of {cost['prunable_weights']:,}"
    return f"{text} · {zeros:,} of the live exactly zero" if zeros else text


def override_text(override: Override) -> str:
    """Return such as "RigL.update_interval = 4000; the method's file has 100"."""
    return (
        f"{override['binding']} = {override['recipe']}; the method's file has {override['method']}"
    )


def _count(number: float) -> str:
    """Return a count with three significant digits or so, such as 1.16 G."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.2f} {unit}"
    return f"{number:.0f}"
