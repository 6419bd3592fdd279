"""What networks cost, as `dstbench cost` counts it: kept in costs/, one file a method and sparsity.

    python -m dstbench.leaderboard.cost_rows [GRID.gin …]

counts again what the cost tables show. Nothing in those files is typed by hand.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dstbench.config import grid
from dstbench.config.jobs import Job
from dstbench.config.shipped_files import shipped
from dstbench.errors import UserError
from dstbench.leaderboard.paper import Paper
from dstbench.leaderboard.rows import CostRow
from dstbench.records.provenance import without_folder
from dstbench.records.run_name import slug
from dstbench.utils.files import write_atomic

LEFT_OUT = ("layers", "left_out", "unused")  # of the command's figures: long, and in no table

Counted = Mapping[tuple[str, str, str, float], Mapping[str, Any]]


def count(jobs: Sequence[Job], into: Path) -> list[Path]:
    """Run `dstbench cost` for every job and write what it prints; the files written.

    Raises UserError, with what the command said, when one fails.
    """
    into.mkdir(parents=True, exist_ok=True)
    return [_count(job, into) for job in _one_a_row(jobs)]


def _count(job: Job, into: Path) -> Path:
    command = ["dstbench", "cost", *job.choices.arguments, "--json"]
    done = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise UserError(f"{' '.join(command)}: {done.stderr.strip()}")
    figures = {k: v for k, v in json.loads(done.stdout).items() if k not in LEFT_OUT}
    name = slug(job.method, job.dataset, job.model, f"s{job.sparsity or 0.0:g}")
    path = into / f"{name}.json"
    content = {"command": [without_folder(word) for word in command], "figures": figures}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    write_atomic(path, f"{text}\n".encode())
    return path


def read(folder: Path) -> Counted:
    """(method, dataset, model, sparsity) → the content of its file.

    Raises UserError for a file that is not one of `count`'s.
    """
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            figures = content["figures"]
            key = (figures["method"], figures["dataset"], figures["model"])
            content["link"] = f"{folder.name}/{path.name}"
            found[(*key, float(figures["sparsity"]["asked"]))] = content
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}: is no output of `dstbench cost --json` with its command ({error!r}). "
                "Delete it, and count again: python -m dstbench.leaderboard.cost_rows"
            ) from None
    return found


def rows(jobs: Sequence[Job], counted: Counted, printed: Paper) -> tuple[CostRow, ...]:
    """A row for every method and sparsity of a cost table, the methods in the grid's order."""
    found = []
    for job in _one_a_row(jobs):
        sparsity = job.sparsity or 0.0
        own = counted.get((job.method, job.dataset, job.model, sparsity), {})
        paper = printed.cost(job.method, job.dataset, job.model, sparsity)
        found.append(
            CostRow(
                method=job.method,
                sparsity=sparsity,
                command=tuple(own.get("command", ())),
                figures=own.get("figures"),
                paper_macs=paper.macs if paper else None,
                paper_stored=paper.stored if paper else None,
                note="the paper contradicts itself here" if paper and paper.doubt else None,
                link=own.get("link"),
            )
        )
    return tuple(found)


def _one_a_row(jobs: Sequence[Job]) -> list[Job]:
    """The jobs that differ in what they cost, in the order of a table."""
    methods = list(dict.fromkeys(job.method for job in jobs))
    unique = {(job.method, job.dataset, job.model, job.sparsity): job for job in reversed(jobs)}
    return sorted(
        reversed(unique.values()), key=lambda j: (methods.index(j.method), j.sparsity or 0.0)
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m dstbench.leaderboard.cost_rows")
    parser.add_argument("grids", nargs="*", default=[*shipped(grid.FOLDER)], metavar="GRID.gin")
    parser.add_argument("--out", type=Path, default=Path("leaderboard/costs"), metavar="DIR")
    args = parser.parse_args(argv)
    try:
        tables = [table for name in args.grids if (table := grid.read(name)).kind == "cost"]
        for path in count([job for table in tables for job in table.jobs], args.out):
            print(path)
    except UserError as error:
        sys.exit(f"dstbench: {error.message}")


if __name__ == "__main__":
    main()
