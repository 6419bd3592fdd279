"""Finished networks, found and loaded: what `measure` and `deploy` start from.

A network is rebuilt from the gin text that lies in its own file: the model, the method's surgery,
what `finish` leaves of it; then its tensors and masks are put in. So it is the very network whose
accuracy the record tells.
"""

import hashlib
import pickle
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dstbench import builtin, record
from dstbench.beginning import new_state
from dstbench.config import Config, plugins
from dstbench.errors import UserError
from dstbench.masks import Masks
from dstbench.packing import load_network_
from dstbench.part import State
from dstbench.run import Run
from dstbench.rundir import BEST, FINAL, RECORD
from dstbench.shadow import kept_rng
from dstbench.tracking.fetch import RUN_ID, fetch

assert builtin  # imported for what it registers

_FIELDS = ("network", "config", "classes", "image_shape", "mean", "std")


@dataclass(frozen=True)
class Finished:
    """A trained network as it is deployed, in fp32 on the CPU, in eval mode and channels_last.

    model: images (B, *image_shape), normalised by mean and std a channel → logits. masks: which of
    its weights are live; empty for a dense network. record: of its run. image_shape: (channels,
    height, width). classes: names, in the order of the logits. mean, std: of pixels in [0, 1].
    config: the run's gin text. dense_numel: prunable weights of the original network. run: what
    that text configures; its build_model gives the plain network, untouched by the method.
    """

    model: nn.Module
    masks: Masks
    record: dict[str, Any]
    image_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    config: str
    dense_numel: int
    run: Run


# --- finding --------------------------------------------------------------------------------------


def find(run: str, runs: Path, tracking: str | None) -> Path:
    """The run folder that `run` means.

    run: a run folder or its name below `runs`; a record's file, in its folder or apart from it;
    or the id of an MLflow run, whose folder is downloaded to `runs` if it is not there. tracking:
    the MLflow store, None for the default one.

    Raises UserError when there is no such run.
    """
    for folder in (Path(run), runs / run):
        if run and (folder / RECORD).is_file():
            return folder
    path = Path(run)
    if path.is_file():
        return path.parent if path.name == RECORD else _folder_of(path, runs)
    if RUN_ID.fullmatch(run):
        return fetch(run, runs, tracking)
    lacks = f"the folder holds no {RECORD}" if run and path.is_dir() else "no such run"
    raise UserError(
        f"{run or repr(run)}: {lacks}. Give a run folder (they are below {runs}; another place: "
        "--runs DIR), a record, or an MLflow run id."
    )


def _folder_of(path: Path, runs: Path) -> Path:
    """The folder below `runs` of the run that a record apart from it tells of."""
    sha256 = record.read(path)["config"]["sha256"]
    for folder in sorted(runs.glob(f"*-{sha256[:8]}")):
        if (folder / RECORD).is_file() and record.read(folder / RECORD)["config"][
            "sha256"
        ] == sha256:
            return folder
    raise UserError(
        f"{path}: the network of this record is not here: no folder below {runs} holds a run of "
        f"configuration {sha256[:8]}. Choose the folder of runs with --runs DIR, or name the run "
        "by its MLflow id."
    )


# --- loading --------------------------------------------------------------------------------------


def load(folder: Path, plugins: Sequence[Path] = (), best: bool = False) -> Finished:
    """The finished network of a run folder; best: of the epoch that validated best.

    plugins: Python files that register what the run's configuration names. Raises UserError when
    the run is not finished, or the network's file is missing, damaged, or another run's.
    """
    told = record.read(folder / RECORD)
    if told["status"] != "finished":
        raise UserError(
            f"{folder}: this run is not finished ({told['status']}), so it has no "
            "network yet. Start it again, or choose another."
        )
    payload = _payload(folder / (BEST if best else FINAL), told)
    channels, height, width = payload["image_shape"]
    shape = (channels, height, width)
    try:
        run = _configured(payload["config"], plugins)
        state = _built(run, shape, len(payload["classes"]))
        load_network_(state.model, state.masks, payload["network"])
    except UserError as error:
        raise UserError(f"{folder}: its network cannot be built: {error.message}") from None
    except (KeyError, IndexError, RuntimeError) as error:
        raise UserError(
            f"{folder}: its tensors do not fit the network of its configuration "
            f"({type(error).__name__}: {str(error).splitlines()[0]}). Use the version of dstbench "
            f"that made it: commit {told['provenance']['commit']}."
        ) from None
    return Finished(
        state.model.eval(), state.masks, told, shape, tuple(payload["classes"]),
        tuple(payload["mean"]), tuple(payload["std"]), payload["config"], state.dense_numel,
        run,
    )  # fmt: skip


def _payload(path: Path, told: dict[str, Any]) -> dict[str, Any]:
    """What a network's file holds. Raises UserError for one that cannot be used."""
    try:
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():  # torch itself compares no checksums
                raise zipfile.BadZipFile(f"checksum of {damaged}")
        payload = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file. The network of this run was removed, or there is "
            "no best epoch; train it again with `dstbench run --fresh`."
        ) from None
    except (
        OSError,
        ValueError,
        EOFError,
        RuntimeError,
        zipfile.BadZipFile,
        pickle.UnpicklingError,
    ) as error:
        raise UserError(
            f"{path}: cannot be read as a network ({str(error).splitlines()[0]}). Train it again "
            "with `dstbench run --fresh`, or fetch it by its MLflow id."
        ) from None
    if not isinstance(payload, dict) or not payload.keys() >= set(_FIELDS):
        raise UserError(f"{path}: is no network of this suite. Give the folder of a finished run.")
    if hashlib.sha256(payload["config"].encode()).hexdigest() != told["config"]["sha256"]:
        raise UserError(f"{path}: is the network of another run than the record beside it.")
    return payload


def _configured(text: str, files: Sequence[Path]) -> Run:
    """The run that a resolved gin text describes."""
    plugins.load(files)
    config = Config()
    config.add_text(text, "run.gin")
    return config.build(config.resolve())


def _built(run: Run, shape: tuple[int, int, int], classes: int) -> State:
    """The State of a run after its `finish`, its tensors of no meaning yet."""
    with kept_rng(torch.empty(0)):
        state = new_state(run, classes, shape, 1, torch.device("cpu"))
    run.method.finish(state)
    state.masks = Masks(state.model)
    return state
