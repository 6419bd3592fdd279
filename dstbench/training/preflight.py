"""Networks are built and tried out before anything is trained or written, so that one that does not
fit its data is refused in a sentence.

The forward passes run on a copy, of few images: they cost little, and touch neither the network,
its buffers, nor the random generators.
"""

import traceback
from typing import Any

import torch
from torch import Tensor, nn

from dstbench.core.state import State
from dstbench.data.batch_plan import BatchPlan
from dstbench.data.images import Shape
from dstbench.errors import UserError
from dstbench.models.network_copy import copy_with
from dstbench.models.precision import Autocast
from dstbench.models.preserve_rng import preserve_rng
from dstbench.training.runtime_options import RuntimeOptions


def refuse_wrong_logits(
    model: nn.Module, num_classes: int, image_shape: Shape, device: torch.device, autocast: Autocast
) -> None:
    """Raise UserError unless two images give two rows of one logit a class, in either mode."""
    name = type(model).__name__
    if not any(True for _ in model.parameters()):
        return  # there is nothing to train, which is said elsewhere
    for training in (False, True):
        try:
            logits = _forward(model, 2, image_shape, training, device, autocast)
        except Exception as error:
            shape = "×".join(map(str, image_shape))
            raise UserError(
                f"{name} fails on images of {shape} (channels × height × width): {_told(error)}",
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
            f"{name} returns {what} in {mode} mode; wanted is one tensor of logits, one a class: "
            f"[2, {num_classes}] for two images. Mend its forward, or its use of num_classes.",
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
    """Raise UserError, ending with `advice`, if the network cannot train on so few images.

    Batch norm after the last pooling cannot: one image has one value a channel there.
    """
    try:
        _forward(model, batch, image_shape, True, device, autocast)
    except Exception as error:
        raise UserError(
            f"{type(model).__name__} cannot train on a batch of {batch}, which an epoch ends with: "
            f"{_told(error)} {advice}",
            "Run.batch_size",
        ) from error


def _forward(
    model: nn.Module,
    batch: int,
    image_shape: Shape,
    training: bool,
    device: torch.device,
    autocast: Autocast,
) -> Any:
    """What a copy of the model, on the device, gives for so many black images."""
    twin = copy_with(model, lambda t: t.to(device, copy=True)).train(training)
    like = next(twin.parameters())
    with preserve_rng(like), torch.no_grad(), autocast():
        return twin(like.new_zeros((batch, *image_shape)))


def _told(error: Exception) -> str:
    """What went wrong, and the line of it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "/torch/" not in f.filename and f.filename != __file__]
    place = f" ({own[-1].filename}:{own[-1].lineno})" if own else ""
    text = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {text}{place}."


def refuse_small_batches(
    state: State, portions: BatchPlan, place: RuntimeOptions, autocast: Autocast
) -> None:
    """Raise UserError where an epoch's last batch is too small for network or processes."""
    size = place.ranks.size
    last = portions.size_at(portions.steps_per_epoch - 1)
    advice = (
        f"{portions.count} training images in batches of {portions.batch_size} leave {last} at the "
        f"end, for {size} process{'es' if size > 1 else ''}. Choose another Run.batch_size, or "
        "Run.train_images."
    )
    if last < size:
        raise UserError(f"An epoch ends with fewer images than processes: {advice}")
    smallest = last if place.sync_batch_norm else last // size
    refuse_small_batch(state.model, smallest, state.image_shape, place.device, autocast, advice)
