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

from dstbench.config import plugins
from dstbench.config.resolver import Config
from dstbench.core.masks import Masks
from dstbench.core.packing import load_network_
from dstbench.core.state import State
from dstbench.data.images import Shape
from dstbench.errors import UserError
from dstbench.models.preserve_rng import preserve_rng
from dstbench.records import record
from dstbench.records.file_names import BEST_NETWORK, CONFIG, FINAL_NETWORK, RECORD
from dstbench.records.types import Record
from dstbench.training import registered
from dstbench.training.build import new_state
from dstbench.training.settings import Run

assert registered  # imported for what it registers

_FIELDS = ("network", "config", "classes", "image_shape", "mean", "std")


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained network as it is deployed, in fp32 on the CPU, in eval mode and channels_last.

    model: images (B, *image_shape), normalised by mean and std a channel → logits. masks: which of
    its weights are live; empty for a dense network. record: of its run. image_shape: (channels,
    height, width). classes: names, in the order of the logits. mean, std: of pixels in [0, 1].
    config: the run's gin text. dense_numel: prunable weights of the original network. run: what
    that text configures; its build_model gives the plain network, untouched by the method.
    """

    model: nn.Module
    masks: Masks
    record: Record
    image_shape: Shape
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    config: str
    dense_numel: int
    run: Run


# --- finding --------------------------------------------------------------------------------------


# --- loading --------------------------------------------------------------------------------------


def load(folder: Path, plugins: Sequence[Path] = (), best: bool = False) -> TrainedNetwork:
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
    payload = _payload(folder / (BEST_NETWORK if best else FINAL_NETWORK), told)
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
    return TrainedNetwork(
        state.model.eval(), state.masks, told, shape, tuple(payload["classes"]),
        tuple(payload["mean"]), tuple(payload["std"]), payload["config"], state.dense_numel,
        run,
    )  # fmt: skip


def _payload(path: Path, told: Record) -> dict[str, Any]:
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
    config.add_text(text, CONFIG)
    return config.build(config.resolve())


def _built(run: Run, shape: Shape, classes: int) -> State:
    """The State of a run after its `finish`, its tensors of no meaning yet."""
    with preserve_rng(torch.empty(0)):
        state = new_state(run, classes, shape, 1, torch.device("cpu"))
    run.method.finish(state)
    state.masks = Masks(state.model)
    return state
