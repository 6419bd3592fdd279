"""Planned runs of a sweep, for tests without a grid."""

from pathlib import Path

from dstbench.config.choices import Choices
from dstbench.config.jobs import Job
from dstbench.sweeps.plan import PlannedRun


def job_of(**changes) -> Job:
    """Return a job. changes: fields that differ from the usual ones."""
    usual = {
        "method": "RigL",
        "dataset": "digits",
        "model": "ResNet20",
        "sparsity": 0.9,
        "seed": 3,
        "protocol": "strict",
        "file": "rigl",
        "recipe": "digits",
        "choices": Choices(("methods/rigl.gin",)),
    }
    return Job(**{**usual, **changes})


def run_of(
    folder: Path, name: str, text: str = "", sha256: str = "c0ffee", epochs: int = 10, **job
) -> PlannedRun:
    """Return a planned run.

    folder: folder of run folders.
    name: name of its run folder.
    text, sha256, epochs: of its configuration.
    job: as for `job_of`.
    """
    return PlannedRun(job_of(**job), folder / name, sha256, text, epochs, ("run", name))
