"""--only: some of a grid's runs, by what they are called."""

from collections.abc import Callable, Sequence

from dstbench.config.grid import Job
from dstbench.errors import UserError, did_you_mean

# What can be asked for: key → the names of a job under it.
_NAMES: dict[str, Callable[[Job], tuple[str, ...]]] = {
    "method": lambda job: (job.method, job.file),
    "dataset": lambda job: (job.dataset,),
    "model": lambda job: (job.model,),
    "recipe": lambda job: (job.recipe,),
    "sparsity": lambda job: () if job.sparsity is None else (_number(job.sparsity),),
    "seed": lambda job: (str(job.seed),),
}


def only(jobs: Sequence[Job], filters: Sequence[str]) -> list[Job]:
    """The jobs that fit one of the filters at least, all of them if there is none.

    A filter is KEY=VALUE, or several with commas, all of which must fit. Raises UserError for a
    key or a value that the grid does not have, and when nothing is left.
    """
    if not filters:
        return list(jobs)
    wanted = [_conditions(text, jobs) for text in filters]
    kept = [
        job
        for job in jobs
        if any(all(v in _names(key, job) for key, v in conditions) for conditions in wanted)
    ]
    if not kept:
        raise UserError(f"--only {' --only '.join(filters)}: no run of the grid is all of that.")
    return kept


def _conditions(text: str, jobs: Sequence[Job]) -> list[tuple[str, str]]:
    found = []
    for condition in text.split(","):
        key, equals, value = (part.strip() for part in condition.partition("="))
        if not equals:
            raise UserError(f"--only {text!r}: expected KEY=VALUE, such as 'method=EAST,seed=0'.")
        if key not in _NAMES:
            raise UserError(f"--only {text!r}: nothing to choose by.{did_you_mean(key, _NAMES)}")
        if key in ("sparsity", "seed"):
            value = _number(value)
        value = value.lower()
        if not any(value in _names(key, job) for job in jobs):
            there = {name for job in jobs for name in _NAMES[key](job)}
            message = f"--only {text!r}: the grid has no such {key}.{did_you_mean(value, there)}"
            raise UserError(message)
        found.append((key, value))
    return found


def _names(key: str, job: Job) -> tuple[str, ...]:
    return tuple(name.lower() for name in _NAMES[key](job))


def _number(value: float | str) -> str:
    """A number as it is compared: 0.9990 is 0.999."""
    try:
        return f"{float(value):.12g}"
    except ValueError:
        return str(value)
