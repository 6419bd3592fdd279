"""A run's State before a session's first step: built, refused where it cannot be trained, loaded
from a checkpoint, the same for every process.
"""

import inspect
from contextlib import nullcontext

import torch
from torch import nn

from dstbench.config.registry import lookup
from dstbench.core.masks import Masks
from dstbench.core.state import State
from dstbench.data.images import Shape
from dstbench.errors import UserError
from dstbench.models.onednn import disable_onednn_if_unsafe
from dstbench.models.precision import autocast_for
from dstbench.training.preflight import _told, refuse_wrong_logits
from dstbench.training.settings import Run


def new_state(
    run: Run,
    num_classes: int,
    image_shape: Shape,
    total_steps: int,
    device: torch.device,
) -> State:
    """A run's State as it is before its first masks: the network built, operated on, on `device`.

    On the device "meta" the network has shapes and no values; what a method adds to it may have.
    Raises UserError, on other devices, for a network that does not fit its images and classes.
    """
    by_shape = device.type == "meta"
    with device if by_shape else nullcontext():
        model = built(run, num_classes, image_shape)
    if device.type == "cpu":
        disable_onednn_if_unsafe(model)
    if not by_shape:
        autocast = autocast_for(run.precision, device)
        refuse_wrong_logits(model, num_classes, image_shape, device, autocast)
    state = State(model, image_shape, run.seed, total_steps)
    state.budget = run.method.budget
    run.method.surgery(state)
    if not by_shape:  # moving to "meta" would part tensors that layers share
        state.model = state.model.to(device)
    state.masks = Masks(state.model)  # surgery may have replaced what they refer to
    return state


def built(run: Run, num_classes: int, image_shape: Shape) -> nn.Module:
    """The run's network with its initial weights.

    Raises UserError where its constructor fails, and where it wants one image_size for images that
    are not square.
    """
    channels, height, width = image_shape
    name = run.model.__name__
    if height != width and "image_size" in inspect.signature(lookup(name)).parameters:
        raise UserError(
            f"{name} takes one image_size, but the images are {width}×{height} pixels (width × "
            "height). Use square images, or a model that does not ask for their size.",
            "Run.model",
        )
    try:
        return run.build_model(num_classes, image_shape)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{name} cannot be built for {num_classes} classes and images of {channels}×{height}×"
            f"{width} (channels × height × width): {_told(error)}",
            "Run.model",
        ) from error
