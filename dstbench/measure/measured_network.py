"""What is measured: the network of a finished run, or a worst case that needs no training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import torch
from torch import nn

from dstbench.config.plugins import load
from dstbench.config.registry import lookup, names
from dstbench.core.masks import Masks
from dstbench.core.random_generators import preserve_rng
from dstbench.data.images import Shape
from dstbench.errors import UserError, did_you_mean
from dstbench.models.build import build_model
from dstbench.training import trained_network


class MeasuredSparsity(TypedDict):
    """Fraction of weights removed: as configured, and of the measured network."""

    asked: float
    measured: float


class NetworkDescription(TypedDict):
    """What identifies a measured network in the output; see docs/measuring.md."""

    method: str
    model: str
    dataset: str | None
    recipe: str | None
    seed: int
    sparsity: MeasuredSparsity
    worst_case: bool
    run: str | None
    config_sha256: str | None
    attempt: str | None
    live_weights: int
    prunable_weights: int
    image_shape: list[int]
    classes: int


@dataclass(frozen=True)
class MeasuredNetwork:
    """A network to be measured, on the CPU and in eval mode.

    description: for the output.
    model: the trained network.
    masks: of the model.
    plain: its architecture without the method's surgery, with random weights.
    image_shape: channels, height, width.
    """

    description: NetworkDescription
    model: nn.Module
    masks: Masks
    plain: nn.Module
    image_shape: Shape


def from_run(folder: Path, plugins: Sequence[Path] = ()) -> MeasuredNetwork:
    """Return the finished network of a run folder.

    plugins: files to import before the run's configuration is read.

    Raises UserError: when the run has no finished network.
    """
    trained = trained_network.load(folder, plugins)
    record = trained.record
    description: NetworkDescription = {
        "method": record["method"],
        "model": record["model"],
        "dataset": record["dataset"],
        "recipe": record["recipe"],
        "seed": record["seed"],
        "sparsity": {
            "asked": record["sparsity"]["asked"],
            "measured": record["sparsity"]["measured"],
        },
        "worst_case": False,
        "run": folder.resolve().name,
        "config_sha256": record["config"]["sha256"],
        "attempt": record["provenance"]["attempt"],
        "live_weights": trained.masks.total(),
        "prunable_weights": trained.dense_numel,
        "image_shape": list(trained.image_shape),
        "classes": len(trained.classes),
    }
    with preserve_rng(torch.empty(0)):
        plain = trained.run.build_model(len(trained.classes), trained.image_shape).eval()
    return MeasuredNetwork(description, trained.model, trained.masks, plain, trained.image_shape)


def from_worst_case(
    model: str, sparsity: float, image_shape: Shape, classes: int, plugins: Sequence[Path] = ()
) -> MeasuredNetwork:
    """Return a network of this sparsity with every live weight on a path; see `worst_case`.

    model: name of a registered model.
    sparsity: fraction removed.
    image_shape: channels, height, width.
    classes: number of logits.
    plugins: files to import before the model is looked up.

    Raises UserError: when the model is not registered, cannot be built for such images, or cannot
        have this sparsity.
    """
    from dstbench.measure.worst_case import worst_case  # not needed for runs

    load(plugins)
    known = names("models")
    if model not in known:
        raise UserError(f"--worst-case {model}: no such model.{did_you_mean(model, known)}")
    made = lookup(model)
    network, masks = worst_case(made, sparsity, image_shape=image_shape, num_classes=classes)
    plain = build_model(made, classes, image_shape).eval()
    prunable = sum(p.numel() for p in masks.parameters.values())
    description: NetworkDescription = {
        "method": "worst case",
        "model": model,
        "dataset": None,
        "recipe": None,
        "seed": 0,
        "sparsity": {"asked": sparsity, "measured": 1 - masks.total() / prunable},
        "worst_case": True,
        "run": None,
        "config_sha256": None,
        "attempt": None,
        "live_weights": masks.total(),
        "prunable_weights": prunable,
        "image_shape": list(image_shape),
        "classes": classes,
    }
    return MeasuredNetwork(description, network, masks, plain, image_shape)
