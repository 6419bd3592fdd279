"""costs/*.json: what `dstbench cost` counted, one file for each method and sparsity.

`dstbench leaderboard --count-costs` writes them; none of their numbers is entered by hand.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from dstbench.boards.paper_numbers import PaperNumbers
from dstbench.boards.row_types import CostRow, CountedCost
from dstbench.config.grid import Job
from dstbench.errors import UserError
from dstbench.recording.provenance import without_folder
from dstbench.recording.run_name import slug
from dstbench.recording.uncounted import uncounted_text
from dstbench.utils.files import content_of, make_folder, write_atomic
from dstbench.utils.json_files import json_files
from dstbench.utils.json_text import parse_json
from dstbench.utils.printable import utf8

NOT_KEPT = ("layers", "left_out", "unused")  # of the command's figures: long, and in no table

NetworkName = tuple[str, str, str, float]  # method, dataset, model, sparsity


@dataclass(frozen=True)
class CostFile:
    """One file: the command line that counted, the cost, and the file's path as a link.

    uncounted: products that the MACs leave out, in words; None for none.
    """

    command: tuple[str, ...]
    counted: CountedCost
    link: str
    uncounted: str | None


def write_cost(folder: Path, job: Job, command: Sequence[str], figures: Mapping[str, Any]) -> Path:
    """Write the cost of one job; return the file's path.

    command: the command line that counts the same.
    figures: what `dstbench cost --json` prints.

    Raises UserError when it cannot be written.
    """
    name = slug(job.method, job.dataset, job.model, f"s{job.sparsity or 0.0:g}")
    content = {
        "command": [without_folder(word) for word in command],
        "figures": {k: v for k, v in figures.items() if k not in NOT_KEPT},
    }
    path = folder / f"{name}.json"
    make_folder(folder)
    write_atomic(path, utf8(f"{json.dumps(content, indent=1, ensure_ascii=False)}\n"))
    return path


def read_costs(folder: Path) -> dict[NetworkName, CostFile]:
    """Return the counted costs of a folder.

    Raises UserError for a file that cannot be read, or that `write_cost` did not write.
    """
    found = {}
    for path in json_files(folder):
        text = content_of(path) or b""
        try:
            content = parse_json(text)
            figures = content["figures"]
            name = (
                figures["method"],
                figures["dataset"],
                figures["model"],
                float(figures["sparsity"]["asked"]),
            )
            found[name] = CostFile(
                command=tuple(content.get("command", ())),
                counted=CountedCost(*(figures[field.name] for field in fields(CountedCost))),
                link=f"{folder.name}/{path.name}",
                uncounted=uncounted_text(figures),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}: is not the output of `dstbench cost --json` with its command "
                f"({error!r}). Delete it, and count again: dstbench leaderboard --count-costs"
            ) from None
    return found


def cost_rows(
    jobs: Sequence[Job], files: Mapping[NetworkName, CostFile], paper: PaperNumbers
) -> tuple[CostRow, ...]:
    """Return a row for every method and sparsity of a cost table, the methods in grid order."""
    found = []
    for job in cost_jobs(jobs):
        sparsity = job.sparsity or 0.0
        file = files.get((job.method, job.dataset, job.model, sparsity))
        printed = paper.cost(job.method, job.dataset, job.model, sparsity)
        stated = printed.multiple if printed else None
        reference = printed.reference or "" if printed else ""
        other = files.get((reference, job.dataset, job.model, sparsity))
        found.append(
            CostRow(
                method=job.method,
                sparsity=sparsity,
                command=file.command if file else (),
                counted=file.counted if file else None,
                paper_macs=printed.macs if printed else None,
                paper_stored=printed.stored if printed else None,
                multiple=file.counted.macs / other.counted.macs
                if stated is not None and file and other
                else None,
                paper_multiple=stated,
                formulas=printed.formulas if printed else None,
                note="contradicts itself" if printed and printed.doubt else None,
                link=file.link if file else None,
                uncounted=file.uncounted if file else None,
            )
        )
    return tuple(found)


def cost_jobs(jobs: Sequence[Job]) -> list[Job]:
    """Return one job for each row of a cost table: seeds and recipes do not change the cost."""
    methods = list(dict.fromkeys(job.method for job in jobs))
    unique = {(job.method, job.dataset, job.model, job.sparsity): job for job in reversed(jobs)}
    return sorted(
        reversed(unique.values()), key=lambda j: (methods.index(j.method), j.sparsity or 0.0)
    )
