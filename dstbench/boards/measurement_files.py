"""Reads measurements/*.json: the output of `dstbench measure RUN --json`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dstbench.boards.row_types import SpeedRow
from dstbench.config.jobs import Job
from dstbench.errors import UserError
from dstbench.utils.files import content_of
from dstbench.utils.json_files import json_files
from dstbench.utils.json_text import parse_json

NetworkName = tuple[str, str, float]  # method, model, sparsity; speed depends on no dataset
Measured = Mapping[NetworkName, Sequence[SpeedRow]]


def read_measurements(folder: Path) -> Measured:
    """Return the measurements of each network, in the order of files and of their content.

    Raises UserError for a file that cannot be read, or is not the output of `dstbench measure
    --json`.
    """
    found: dict[NetworkName, list[SpeedRow]] = {}
    for path in json_files(folder):
        text = content_of(path) or b""
        try:
            content = parse_json(text)
            rows = speed_rows(content, f"{folder.name}/{path.name}")
            name = content["method"], content["model"], float(content["sparsity"]["asked"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path}: is not the output of `dstbench measure --json` ({error!r}). "
                "Delete it, or measure again."
            ) from None
        found.setdefault(name, []).extend(rows)
    return found


def speed_rows(content: Mapping[str, Any], link: str) -> list[SpeedRow]:
    """Return the rows of one output of `dstbench measure --json`.

    link: path of its file, relative to the leaderboard's folder.
    """
    device = content["cpu"] if content["device"] == "cpu" else content["device"]
    threads = content["threads"]
    machine = f"{device}, {threads} thread{'' if threads == 1 else 's'}"
    fp32, every = (_best(content, key) for key in ("best_dense", "best_dense_any"))
    return [
        SpeedRow(
            method=content["method"],
            sparsity=float(content["sparsity"]["asked"]),
            model=content["model"],
            dataset=content["dataset"],
            form=timing["form"],
            batch=timing["batch"],
            latency_ms=float(timing["latency_ms"]),
            images_per_s=float(timing["images_per_s"]),
            machine=machine,
            link=link,
            speedup=_ratio(fp32, timing),
            speedup_any=_ratio(every, timing),
        )
        for timing in content["timings"]
    ]


def _best(content: Mapping[str, Any], key: str) -> dict[int, float]:
    """Return batch size → latency of the form that is named under a key; none without the key."""
    names = content.get(key, {})
    return {
        timing["batch"]: float(timing["latency_ms"])
        for timing in content["timings"]
        if names.get(str(timing["batch"])) == timing["form"]
    }


def _ratio(best: Mapping[int, float], timing: Mapping[str, Any]) -> float | None:
    latency = best.get(timing["batch"])
    return None if latency is None else latency / float(timing["latency_ms"])


def measurements_of(jobs: Iterable[Job], measured: Measured) -> tuple[SpeedRow, ...]:
    """Return the measurements of a table's networks, in the order of its jobs."""
    names = dict.fromkeys((job.method, job.model, float(job.sparsity or 0.0)) for job in jobs)
    return tuple(row for name in names for row in measured.get(name, ()))
