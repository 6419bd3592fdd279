"""What networks cost and how fast they answer, as markdown."""

from collections.abc import Sequence

from dstbench.leaderboard.markdown.text import MISSING, escape, link, signed, table
from dstbench.leaderboard.rows import CostRow, Measurement, PaperSpeed
from dstbench.sparsity import percent


def costs(rows: Sequence[CostRow]) -> list[str]:
    """What networks cost."""
    if not rows:
        return []
    header = ["method", "sparsity", "MACs (M)", "of dense", "paper (M)", "difference (M)",
              "live weights", "stored weights (M)", "paper (M)", "deployed (bytes)"]  # fmt: skip
    doubt = " **?** The paper contradicts itself here, see below."
    return [
        table(header, [_cost(row) for row in rows]),
        "MACs of one image, convolutions and linear layers only; each shared weight at every use. "
        "Live weights: each once. Stored weights: zeros included, each tensor once. Deployed: an "
        "estimate, with the positions of sparse weights. Each row links to the command that "
        "counted it, and to all it printed." + (doubt if any(row.note for row in rows) else ""),
    ]


def _cost(row: CostRow) -> list[str]:
    name = escape(row.method)
    doubt = " **?**" if row.note else ""
    paper_macs = MISSING if row.paper_macs is None else f"{_millions(row.paper_macs)}{doubt}"
    paper_stored = MISSING if row.paper_stored is None else f"{row.paper_stored / 1e6:.1f}"
    figures = row.figures
    if figures is None:
        ours = [MISSING] * 2, [MISSING] * 3
        difference = MISSING
    else:
        ours = (
            [_millions(figures["macs"]), f"{figures['macs'] / figures['dense_macs']:.5f} ×"],
            [f"{figures['live_weights']:,}", f"{figures['stored_weights'] / 1e6:.1f}",
             f"{figures['deployed_bytes']:,}"],
        )  # fmt: skip
        difference = (
            MISSING if row.paper_macs is None else signed((figures["macs"] - row.paper_macs) / 1e6)
        )
    return [
        link(name, row.link) if row.link else name, percent(row.sparsity), *ours[0], paper_macs,
        difference, *ours[1][:2], paper_stored, ours[1][2],
    ]  # fmt: skip


def _millions(number: float) -> str:
    return f"{number / 1e6:,.2f}"


def speeds(rows: Sequence[Measurement], printed: Sequence[PaperSpeed] = ()) -> list[str]:
    """How fast finished networks answer, and what the paper prints of it."""
    if not rows and not printed:
        return []
    header = [
        "method",
        "model",
        "trained on",
        "sparsity",
        "form",
        "batch",
        "latency (ms)",
        "images/s",
        "machine",
    ]
    return [
        "## Inference",
        table(header, [*map(_measured, rows), *map(_printed, printed)]),
        "Latency of a whole batch, the median that `dstbench measure` found; each row links to all "
        "it printed. Only lines of one machine compare. What images a network was trained on "
        "changes its answers, not its speed."
        + (
            ""
            if all(row.consistent for row in printed)
            else " **?** Latency, batch and images/s contradict each other."
        ),
    ]


def _measured(row: Measurement) -> list[str]:
    name = escape(row.method)
    return [
        link(name, row.link) if row.link else name,
        escape(row.model),
        escape(row.dataset) or MISSING,
        percent(row.sparsity),
        escape(row.form),
        *_times(row),
    ]


def _printed(row: PaperSpeed) -> list[str]:
    doubt = "" if row.consistent else " **?**"
    return [escape(row.method), *3 * [MISSING], escape(row.source) + doubt, *_times(row)]


def _times(row: Measurement | PaperSpeed) -> list[str]:
    """Batch, latency, throughput, machine."""
    latency = f"{row.latency_ms:.3g}" if row.latency_ms < 100 else f"{row.latency_ms:,.0f}"
    return [str(row.batch), latency, f"{row.images_per_s:,.2f}", escape(row.machine)]
