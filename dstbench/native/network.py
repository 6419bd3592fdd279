"""NativeNetwork: a masked network, compiled to compute with its live weights alone."""

from torch import Tensor, nn

from dstbench.core.masks import Masks
from dstbench.data.images import Shape
from dstbench.native.unsupported import Unsupported


class NativeNetwork:
    """A compiled network; no network can be compiled yet.

    model: the network, on the CPU.
    masks: which of its weights are live.
    image_shape: (channels, height, width) of its input.
    threads: CPU threads.

    Raises Unsupported: when the network cannot be compiled.
    """

    def __init__(self, model: nn.Module, masks: Masks, image_shape: Shape, threads: int = 1):
        raise Unsupported("this version of dstbench compiles no network")

    def forward_backward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return (loss, logits) of a training batch; sets live and other gradients."""
        raise NotImplementedError

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits (B, classes) in evaluation mode."""
        raise NotImplementedError

    def push_back_(self) -> None:
        """Write the running averages into the torch model."""
        raise NotImplementedError

    def compile_(self) -> None:
        """Compile anew, after masks or modules changed."""
        raise NotImplementedError
