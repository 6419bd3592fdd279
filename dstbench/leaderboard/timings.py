"""How fast networks answer, as `dstbench measure RUN --json` printed it: measurements/*.json."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dstbench.config.jobs import Job
from dstbench.errors import UserError
from dstbench.leaderboard.rows import Measurement

Cellname = tuple[str, str, float]  # method, model, sparsity: no image changes how fast they answer
Timed = Mapping[Cellname, Sequence[Measurement]]


def read(folder: Path) -> Timed:
    """What was measured of each cell, in the order of files and of what they hold.

    Raises UserError for a file that is no output of `dstbench measure --json`.
    """
    found: dict[Cellname, list[Measurement]] = {}
    for path in sorted(folder.glob("*.json"), key=lambda path: path.name):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            sparsity = float(content["sparsity"]["asked"])
            name = content["method"], content["model"], sparsity
            lines = _lines(content, sparsity, f"{folder.name}/{path.name}")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}: is no output of `dstbench measure --json` ({error!r}). Delete it, or "
                "measure again."
            ) from None
        found.setdefault(name, []).extend(lines)
    return found


def _lines(content: Mapping[str, Any], sparsity: float, link: str) -> list[Measurement]:
    device = content["cpu"] if content["device"] == "cpu" else content["device"]
    threads = content["threads"]
    machine = f"{device}, {threads} thread{'' if threads == 1 else 's'}"
    return [
        Measurement(
            method=content["method"],
            sparsity=sparsity,
            model=content["model"],
            dataset=content["dataset"] or "",
            form=timing["form"],
            batch=timing["batch"],
            latency_ms=float(timing["latency_ms"]),
            images_per_s=float(timing["images_per_s"]),
            machine=machine,
            link=link,
        )
        for timing in content["timings"]
    ]


def of(jobs: Iterable[Job], timed: Timed) -> tuple[Measurement, ...]:
    """What was measured of a table's cells, in the order of its jobs."""
    names = dict.fromkeys((job.method, job.model, float(job.sparsity or 0.0)) for job in jobs)
    return tuple(line for name in names for line in timed.get(name, ()))
