"""Networks are built with what their constructors take, and a failure is one message."""

import gin
import pytest
import torch
from torch import nn

from dstbench.errors import UserError
from dstbench.models.build import build_model


class Sized(nn.Linear):
    """A layer for flat images of one channel."""

    def __init__(self, num_classes, image_size):
        super().__init__(image_size**2, num_classes)


def one_convolution(in_channels, num_classes):
    return nn.Conv2d(in_channels, num_classes, 3)


class Broken(nn.Module):
    def __init__(self, num_classes):
        raise ValueError("no such depth")


@pytest.mark.parametrize("wrap", [lambda made: made, gin.external_configurable])
def test_network_gets_what_its_class_or_function_takes(wrap):
    assert build_model(wrap(Sized), 7, (1, 4, 4)).weight.shape == (7, 16)
    convolution = build_model(wrap(one_convolution), 7, (2, 4, 5))
    assert convolution.weight.shape == (7, 2, 3, 3)
    assert convolution.weight.is_contiguous(memory_format=torch.channels_last)


def test_one_image_size_for_images_that_are_not_square_is_refused():
    with pytest.raises(UserError, match=r"takes one image_size.*5×4 pixels"):
        build_model(Sized, 3, (3, 4, 5))


def test_failing_constructor_is_one_message_with_its_line():
    with pytest.raises(
        UserError, match=r"Broken cannot be built for 3 .* 1×4×4 .*ValueError: no such depth"
    ):
        build_model(Broken, 3, (1, 4, 4))


def test_what_is_no_module_or_lazy_is_refused():
    def number():
        return 3

    def lazy():
        return nn.Sequential(nn.Flatten(), nn.LazyLinear(3))

    with pytest.raises(UserError, match=r"number returns int, not a torch\.nn\.Module"):
        build_model(number, 3, (1, 4, 4))
    with pytest.raises(UserError, match=r"lazy: the shape of 1\.weight is not known"):
        build_model(lazy, 3, (1, 4, 4))
