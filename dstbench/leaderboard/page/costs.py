"""What networks cost: counted by `dstbench cost`, and timed by `dstbench measure`."""

import shlex
from collections.abc import Iterable, Sequence

from dstbench.leaderboard.page import formatting
from dstbench.leaderboard.page.html import Html, path, tag
from dstbench.leaderboard.page.parts import button, scrolling
from dstbench.leaderboard.rows import CostRow, Measurement, PaperSpeed
from dstbench.sparsity import percent


def costs(rows: Sequence[CostRow], name: str) -> Html:
    """MACs and stored weights of every method, beside what the paper prints."""
    heads = [
        button("method", "method", numbers=False),
        button("sparsity", "sparsity"),
        button("MACs", "macs"),
        button("of dense", "share"),
        button("paper", "paper"),
        button("stored weights", "stored"),
        button("paper", "paper-stored"),
        tag("th", "how", scope="col"),
    ]
    return _table("Counted by dstbench cost, of one image", heads, map(_cost, rows), name)


def measurements(rows: Sequence[Measurement], paper: Sequence[PaperSpeed], name: str) -> Html:
    """Latency and throughput, medians, beside what the paper prints."""
    heads = [
        button("method", "method", numbers=False),
        button("model", "model", numbers=False),
        button("trained on", "dataset", numbers=False),
        button("sparsity", "sparsity"),
        button("form", "form", numbers=False),
        button("batch", "batch"),
        button("latency, ms", "latency"),
        button("images/s", "throughput"),
        button("machine", "machine", numbers=False),
    ]
    lines = [*map(_measured, rows), *map(_printed, paper)]
    return _table("Timed by dstbench measure, medians", heads, lines, name)


def _cost(row: CostRow) -> Html:
    figures = row.figures or {}
    macs, dense, stored = (figures.get(k) for k in ("macs", "dense_macs", "stored_weights"))
    return tag(
        "tr",
        tag("th", formatting.method(row.method), scope="row"),
        _number(percent(row.sparsity), row.sparsity),
        _number(_millions(macs), macs),
        _number(
            f"{macs / dense:.2g}×" if macs and dense else None, macs and dense and macs / dense
        ),
        _number(_millions(row.paper_macs), row.paper_macs),
        _number(_millions(stored), stored),
        _number(_millions(row.paper_stored), row.paper_stored),
        tag(
            "td",
            tag(
                "details",
                tag("summary", "command"),
                tag("code", shlex.join(row.command), tabindex="0"),
                tag("a", "all that it printed", href=path(row.link)) if row.link else None,
            ),
            tag("span", row.note, class_="small") if row.note else None,
        ),
        data_method=row.method,
        data_sparsity=percent(row.sparsity),
    )


def _measured(row: Measurement) -> Html:
    return tag(
        "tr",
        tag("th", formatting.method(row.method), scope="row"),
        tag("td", row.model),
        tag("td", row.dataset or formatting.NOTHING),
        _number(percent(row.sparsity), row.sparsity),
        tag("td", tag("a", row.form, href=path(row.link))),
        _number(f"{row.batch}", row.batch),
        _number(f"{row.latency_ms:.4g}", row.latency_ms),
        _number(f"{row.images_per_s:,.0f}", row.images_per_s),
        tag("td", row.machine),
        data_method=row.method,
        data_model=row.model,
        data_sparsity=percent(row.sparsity),
    )


def _printed(row: PaperSpeed) -> Html:
    doubt = "latency and throughput contradict each other"
    return tag(
        "tr",
        tag("th", formatting.method(row.method), scope="row"),
        tag("td", formatting.NOTHING),
        tag("td", formatting.NOTHING),
        _number(None, None),
        tag("td", "paper", tag("span", row.source, class_="small")),
        _number(f"{row.batch}", row.batch),
        _number(f"{row.latency_ms:.4g}", row.latency_ms),
        _number(f"{row.images_per_s:,.0f}", row.images_per_s),
        tag(
            "td",
            row.machine,
            None if row.consistent else tag("span", doubt, class_="small"),
        ),
        data_method=row.method,
    )


def _table(caption: str, heads: Iterable[Html], rows: Iterable[Html], name: str) -> Html:
    head = tag("thead", tag("tr", *heads))
    table = tag("table", tag("caption", caption), head, tag("tbody", *rows), id=name)
    return scrolling(table, caption)


def _number(said: str | None, value: float | None) -> Html:
    return tag(
        "td",
        said or formatting.NOTHING,
        class_="number",
        data_value=None if value is None else f"{value:.10g}",
    )


def _millions(value: float | None) -> str | None:
    """Exactly below ten thousand, else in millions as papers have it."""
    if value is None:
        return None
    return f"{value:,.0f}" if value < 1e4 else f"{value / 1e6:,.2f} M"
