"""Builds a network of its class, for a number of classes and the shape of the images."""

import inspect
from collections.abc import Callable

from torch import nn
from torch.nn.parameter import is_lazy

from dstbench.config.registry import SUPPLIED
from dstbench.errors import UserError, error_with_line
from dstbench.models.memory_layout import to_channels_last


def build_model(
    model: Callable[..., nn.Module], num_classes: int, image_shape: tuple[int, int, int]
) -> nn.Module:
    """Return a network with fresh weights from the global generators, laid out channels_last.

    model: its class, or a function that returns it; called with those of num_classes, in_channels
        and image_size that it takes.
    image_shape: channels, height, width.

    Raises UserError when the call fails, takes one image_size for images that are not square, or
        returns no module, or one with a lazy parameter.
    """
    channels, height, width = image_shape
    name = model.__name__
    # gin's wrapper of a class hides the parameters of the class, and not those of its __init__
    call = model.__init__ if isinstance(model, type) else model  # type: ignore[misc]
    takes = inspect.signature(call).parameters
    if height != width and "image_size" in takes:
        raise UserError(
            f"{name} takes one image_size, but the images are {width}×{height} pixels (width × "
            "height). Use square images, or a model that does not ask for their size.",
            "Run.model",
        )
    offered = dict(zip(SUPPLIED, (num_classes, channels, height), strict=True))
    try:
        built = model(**{name: value for name, value in offered.items() if name in takes})
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{name} cannot be built for {num_classes} classes and images of {channels}×{height}×"
            f"{width} (channels × height × width): {error_with_line(error)}",
            "Run.model",
        ) from error
    if not isinstance(built, nn.Module):
        raise UserError(
            f"{name} returns {type(built).__name__}, not a torch.nn.Module.", "Run.model"
        )
    if lazy := [key for key, value in built.state_dict().items() if is_lazy(value)]:
        raise UserError(
            f"{name}: the shape of {lazy[0]} is not known before its first images. Use modules "
            "with given sizes, not those of torch.nn.Lazy….",
            "Run.model",
        )
    return to_channels_last(built)
