"""Rebuilds the State with which a record's run began, before its first masks."""

import copy
import platform
from contextlib import suppress
from pathlib import Path

import torch

from dstbench.core.random_generators import preserve_rng
from dstbench.core.state import State
from dstbench.data.images import Shape
from dstbench.errors import UserError
from dstbench.recording import provenance
from dstbench.recording.record import read
from dstbench.recording.types import Provenance, Record
from dstbench.training.build import new_state
from dstbench.training.initial_weights import sha256_of
from dstbench.training.settings import Run
from dstbench.utils.json_files import json_files
from dstbench.verify.rebuild import NotRecomputable


def begun(run: Run, shape: Shape, classes: int, total_steps: int) -> State:
    """Return a run's State before its first masks.

    shape: (channels, height, width) of an image.
    classes: number of classes.
    total_steps: optimizer steps of the run.
    """
    with preserve_rng(torch.empty(0)):
        return new_state(run, classes, shape, total_steps, torch.device("cpu"))


def initial_weights_problem(record: Record, begin: State) -> tuple[str | None, str | None]:
    """Compare the initial weights of a record with those that its configuration and seed give.

    Returns (problem, note): the note states why a difference proves nothing, as another version of
    torch or another processor may draw other last bits.

    Raises NotRecomputable for a record without their hash.
    """
    claimed = record["provenance"].get("initial_weights_sha256")
    if claimed is None:
        raise NotRecomputable("it carries no hash of its initial weights")
    found = sha256_of(begin.model)
    if found == claimed:
        return None, None
    if reason := _not_comparable(record["provenance"]):
        return None, f"initial weights not comparable: {reason}"
    return (
        f"provenance.initial_weights_sha256 is {str(claimed)[:12]}…, but its configuration with "
        f"seed {record['seed']} gives {found[:12]}…",
        None,
    )


def repeated_weights_problem(
    record: Record, run: Run, begin: State, leaderboard: Path
) -> str | None:
    """Return a message if a record of another seed has the same initial weights, and may not.

    For a record whose initial weights are not comparable: by any version of torch, different seeds
    give different ones, unless the method's do not depend on the seed.

    begin: the run's State before its first masks.
    leaderboard: folder of the other records.
    """
    claimed = record["provenance"]["initial_weights_sha256"]
    for path in json_files(leaderboard / "records"):
        with suppress(UserError):  # one that is no record proves nothing
            found = read(path)
            same = found["provenance"].get("initial_weights_sha256") == claimed
            if same and found["seed"] != record["seed"]:
                break
    else:
        return None
    other_seed = copy.copy(run)
    other_seed.seed = run.seed + 1
    classes = record["predictions"]["classes"]
    other = begun(other_seed, begin.image_shape, classes, begin.total_steps)
    if sha256_of(other.model) == sha256_of(begin.model):
        return None
    return (
        f"provenance.initial_weights_sha256 is that of {path.stem}, of seed {found['seed']}: "
        "different seeds give different weights"
    )


def _not_comparable(of: Provenance) -> str | None:
    """Return why this machine may draw other random numbers than that of a record, or None.

    The vectorised generators of torch give the same numbers with AVX2 and AVX-512 (measured), and
    others without.
    """
    version, here = of["versions"].get("torch"), provenance.versions().get("torch")
    if version != here:
        return f"they were drawn by torch {version}, and torch {here} is installed"
    if platform.machine() not in (of.get("platform") or ""):
        return f"they were drawn on {of.get('platform')}, and this is a {platform.machine()}"
    capability = torch.backends.cpu.get_cpu_capability()
    if platform.machine() == "x86_64" and not capability.startswith("AVX"):
        return f"torch uses no AVX2 here ({capability})"
    return None
