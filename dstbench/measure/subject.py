"""What is measured: the network of a finished run, or a worst case that needs no training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dstbench.config.plugins import load
from dstbench.config.registry import lookup, names
from dstbench.core.masks import Masks
from dstbench.data.images import Shape
from dstbench.errors import UserError, did_you_mean
from dstbench.models.copies import preserve_rng
from dstbench.training import trained_network


@dataclass(frozen=True)
class Subject:
    """What is measured: a trained network and its plain architecture, on the CPU, in eval mode.

    about: what names it, for the output.
    """

    about: dict[str, Any]
    model: nn.Module
    masks: Masks
    plain: nn.Module
    image_shape: Shape


def of_run(folder: Path, plugins: Sequence[Path] = ()) -> Subject:
    """The finished network of a run folder. Raises UserError as `finished.load` does."""
    done = trained_network.load(folder, plugins)
    told = done.record
    about = {
        "method": told["method"],
        "model": told["model"],
        "dataset": told["dataset"],
        "recipe": told["recipe"],
        "seed": told["seed"],
        "sparsity": {key: told["sparsity"][key] for key in ("asked", "measured")},
        "worst_case": False,
        "run": folder.resolve().name,
        "config_sha256": told["config"]["sha256"],
        "attempt": told["provenance"]["attempt"],
        "live_weights": done.masks.total(),
        "prunable_weights": done.dense_numel,
        "image_shape": list(done.image_shape),
        "classes": len(done.classes),
    }
    with preserve_rng(torch.empty(0)):
        plain = done.run.build_model(len(done.classes), done.image_shape).eval()
    return Subject(about, done.model, done.masks, plain, done.image_shape)


def of_worst_case(
    model: str, sparsity: float, image_shape: Shape, classes: int, plugins: Sequence[Path] = ()
) -> Subject:
    """A network of this sparsity with every live weight on a path; see `deploy.worst_case`.

    Raises UserError for a model that is not registered, or cannot be had so sparse.
    """
    from dstbench.measure.worst_case import worst_case  # only here: runs do without

    load(plugins)
    known = names("models")
    if model not in known:
        raise UserError(f"--worst-case {model}: no such model.{did_you_mean(model, known)}")
    kind = lookup(model)
    network, masks = worst_case(kind, sparsity, image_shape=image_shape, num_classes=classes)
    plain = kind(num_classes=classes, in_channels=image_shape[0]).eval()
    prunable = sum(p.numel() for p in masks.parameters.values())
    about = {
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
    network, plain = (net.to(memory_format=torch.channels_last) for net in (network, plain))
    return Subject(about, network, masks, plain, image_shape)
