"""Preflight: trial forward passes on a copy of the network, before anything is trained or written.

A network that does not fit its data is refused with one message. The passes use few images: they
are cheap, and change neither the network, its buffers, nor the random generators.
"""

from typing import Any

import torch
from torch import Tensor, nn

from dstbench.core.prunable import Unpruned
from dstbench.core.random_generators import preserve_rng
from dstbench.core.state import State
from dstbench.data.batch_plan import BatchPlan
from dstbench.data.images import Shape
from dstbench.errors import UserError, error_with_line
from dstbench.models.network_copy import copy_with
from dstbench.models.precision import Autocast, autocast_for
from dstbench.sparsity import percent
from dstbench.training.runtime_options import RuntimeOptions
from dstbench.utils.listed import listed, times

_NAMED = 6  # tensors that a message names


def refuse_wrong_logits(
    model: nn.Module, num_classes: int, image_shape: Shape, device: torch.device, autocast: Autocast
) -> None:
    """Raise UserError unless two images give two rows of one logit a class, in either mode."""
    name = type(model).__name__
    if not any(True for _ in model.parameters()):
        return  # nothing to train: State refuses it
    for training in (False, True):
        try:
            logits = _forward(model, 2, image_shape, training, device, autocast)
        except Exception as error:
            shape = times(image_shape)
            raise UserError(
                f"{name} fails on images of {shape} (channels × height × width): "
                f"{error_with_line(error)}",
                "Run.model",
            ) from error
        if not isinstance(logits, Tensor):
            what = f"a {type(logits).__name__}"
        elif logits.shape != (2, num_classes):
            what = f"{list(logits.shape)} for two images"
        else:
            continue
        mode = "training" if training else "evaluation"
        raise UserError(
            f"{name} returns {what} in {mode} mode; expected is one tensor of logits, one a class: "
            f"[2, {num_classes}] for two images. Fix its forward, or its use of num_classes.",
            "Run.model",
        )


def refuse_small_batch(
    model: nn.Module,
    batch: int,
    image_shape: Shape,
    device: torch.device,
    autocast: Autocast,
    advice: str,
) -> None:
    """Raise UserError if the network cannot train on so few images.

    batch: number of images.
    advice: the end of the message.

    Batch norm after the last pooling cannot train on one image: it has one value a channel there.
    """
    try:
        _forward(model, batch, image_shape, True, device, autocast)
    except Exception as error:
        raise UserError(
            f"{type(model).__name__} cannot train on a batch of {batch}, which an epoch ends with: "
            f"{error_with_line(error)} {advice}",
            "Run.batch_size",
        ) from error


def refuse_unpruned(found: Unpruned, allowed: float) -> str | None:
    """Return a message that names the weights that are not pruned; None without any.

    allowed: largest fraction of the network's weights that they may be.

    Raises UserError beyond it.
    """
    if not found.sizes:
        return None
    largest = sorted(found.sizes.items(), key=lambda item: -item[1])
    named = listed([f"{name} ({size:,})" for name, size in largest], _NAMED)
    what = (
        f"Trained, but never pruned: {named}. They are {percent(found.fraction)} of the "
        "weights, embeddings (nn.Embedding) apart, and no part of the sparsity."
    )
    if found.fraction > allowed:
        raise UserError(
            f"{what} Run.unpruned_fraction = {allowed} allows less: the reported sparsity would "
            "not be that of the network. Build it of convolutions, linear layers and attention, "
            "or set Run.unpruned_fraction = 1 to train it nevertheless; tables mark its results.",
            "Run.unpruned_fraction",
        )
    return what


def _forward(
    model: nn.Module,
    batch: int,
    image_shape: Shape,
    training: bool,
    device: torch.device,
    autocast: Autocast,
) -> Any:
    """Return what a copy of the model, on the device, computes for `batch` black images."""
    twin = copy_with(model, lambda t: t.to(device, copy=True)).train(training)
    like = next(twin.parameters())
    with preserve_rng(like), torch.no_grad(), autocast():
        return twin(like.new_zeros((batch, *image_shape)))


def refuse_small_batches(
    state: State, plan: BatchPlan, options: RuntimeOptions, precision: str, microbatches: int
) -> None:
    """Raise UserError when an epoch's last batch is too small for the network or the processes.

    plan: the batches of an epoch.
    microbatches: parts in which each process computes its batch.
    """
    size = options.group.size
    last = plan.size_at(plan.steps_per_epoch - 1)
    advice = (
        f"{plan.count} training images in batches of {plan.batch_size} leave {last} at the "
        f"end, for {size} process{'es' if size > 1 else ''}"
        f"{f' and {microbatches} microbatches' if microbatches > 1 else ''}. Choose another "
        "Run.batch_size, or Run.train_images."
    )
    if last < size:
        raise UserError(f"An epoch ends with fewer images than processes: {advice}")
    if options.sync_batch_norm and last % size and last // size < microbatches:
        raise UserError(f"Processes would compute their last batch in unequal parts: {advice}")
    smallest = last if options.sync_batch_norm else last // size
    if microbatches > 1:
        smallest //= min(microbatches, smallest)
    autocast = autocast_for(precision, options.device)
    refuse_small_batch(state.model, smallest, state.image_shape, options.device, autocast, advice)
