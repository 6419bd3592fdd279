"""--only: selects jobs of a grid by method, dataset, model, recipe, sparsity or seed."""

from collections.abc import Callable, Sequence

from dstbench.config.jobs import Job
from dstbench.errors import UserError, did_you_mean

# Key of a condition → the values that a job has for it.
_VALUES: dict[str, Callable[[Job], tuple[str, ...]]] = {
    "method": lambda job: (job.method, job.file),
    "dataset": lambda job: (job.dataset,),
    "model": lambda job: (job.model,),
    "recipe": lambda job: (job.recipe,),
    "sparsity": lambda job: () if job.sparsity is None else (_number(job.sparsity),),
    "seed": lambda job: (str(job.seed),),
}


def filter_jobs(jobs: Sequence[Job], filters: Sequence[str]) -> list[Job]:
    """Return the jobs that match at least one filter; all jobs if there is no filter.

    filters: each is KEY=VALUE, or several of these with commas, all of which must match.

    Raises UserError for a key or value that the grid does not have, and if no job is left.
    """
    if not filters:
        return list(jobs)
    wanted = [_conditions(text, jobs) for text in filters]
    kept = [
        job
        for job in jobs
        if any(all(v in _values(key, job) for key, v in conditions) for conditions in wanted)
    ]
    if not kept:
        raise UserError(f"--only {' --only '.join(filters)}: no run of the grid matches.")
    return kept


def _conditions(text: str, jobs: Sequence[Job]) -> list[tuple[str, str]]:
    """Return the (key, value) pairs of a filter."""
    found = []
    for condition in text.split(","):
        key, equals, value = (part.strip() for part in condition.partition("="))
        if not equals:
            raise UserError(f"--only {text!r}: expected KEY=VALUE, such as 'method=EAST,seed=0'.")
        if key not in _VALUES:
            raise UserError(f"--only {text!r}: no such key.{did_you_mean(key, _VALUES)}")
        if key in ("sparsity", "seed"):
            value = _number(value)
        value = value.lower()
        if not any(value in _values(key, job) for job in jobs):
            known = {name for job in jobs for name in _VALUES[key](job)}
            message = f"--only {text!r}: the grid has no such {key}.{did_you_mean(value, known)}"
            raise UserError(message)
        found.append((key, value))
    return found


def _values(key: str, job: Job) -> tuple[str, ...]:
    return tuple(name.lower() for name in _VALUES[key](job))


def _number(value: float | str) -> str:
    """Return a number in one spelling: 0.9990 and 0.999 are the same."""
    try:
        return f"{float(value):.12g}"
    except ValueError:
        return str(value)
