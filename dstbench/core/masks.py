"""Which weights are live: the masks, their counts, and the exact choices that move them.

Masks sit beside the model, not inside it: a dead weight is a zero in the parameter, so gradients
stay dense. A mask is kept twice, as a boolean tensor (which positions are free?) and as the sorted
positions of its live weights (what is there to do?). Positions count along a tensor's memory, so a
channels_last weight is never copied to be read.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from dstbench.core.prunable import prunable


def flat(tensor: Tensor) -> Tensor:
    """The elements in the order they lie in memory: a 1-D view, never a copy.

    Raises ValueError for a tensor with gaps or overlaps, which has no such view.
    """
    if tensor.is_contiguous():
        return tensor.detach().view(-1)
    dims = sorted(range(tensor.dim()), key=tensor.stride, reverse=True)
    if not tensor.permute(dims).is_contiguous():
        sizes = [d for d in dims if tensor.size(d) > 1]  # the stride of a size-1 dim means nothing
        expected = 1
        for d in reversed(sizes):
            if tensor.stride(d) != expected:
                raise ValueError("the tensor does not fill its memory, so it has no flat view")
            expected *= tensor.size(d)
    return tensor.detach().as_strided((tensor.numel(),), (1,))


def gradient_of(parameter: Tensor) -> Tensor | None:
    """The dense gradient along the parameter's own memory, (numel,); None if there is none."""
    gradient = parameter.grad
    if gradient is None:
        return None
    if gradient.stride() != parameter.stride():
        gradient = torch.empty_like(parameter).copy_(gradient)
    return flat(gradient)


class Masks(Mapping[str, Tensor]):
    """Parameter name → boolean mask, of the shape and memory layout of its parameter.

    Only tensors that a method made sparse have one; a dense method's Masks is empty. A tensor that
    several layers share is one entry.
    """

    def __init__(self, model: nn.Module):
        self.parameters = prunable(model)
        self._mask: dict[str, Tensor] = {}
        self._index: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        return self._mask[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self.parameters if name in self._mask)  # in the model's order

    def __len__(self) -> int:
        return len(self._mask)

    def index(self, name: str) -> Tensor:
        """Sorted int64 positions of the live weights, along the parameter's memory."""
        return self._index[name]

    def live(self, name: str) -> int:
        """Number of live weights of one prunable tensor (all of them where there is no mask)."""
        return len(self._index[name]) if name in self._index else self.parameters[name].numel()

    def counts(self) -> dict[str, int]:
        """Live weights of every prunable tensor, masked or not, each tensor once."""
        return {name: self.live(name) for name in self.parameters}

    def total(self) -> int:
        """Live weights of the whole network, a shared tensor counted once."""
        return sum(self.counts().values())

    @torch.no_grad()
    def write_(self, name: str, index: Tensor) -> None:
        """Make exactly the positions in `index` (int64, any order) live; weights stay as they are.

        The mask tensor is written in place, so whoever holds it sees the change.
        """
        parameter = self.parameters[name]
        if name in self._mask:
            flat(self._mask[name]).index_fill_(0, self._index[name], False)
        else:
            self._mask[name] = torch.zeros_like(parameter, dtype=torch.bool, requires_grad=False)
        self._index[name] = index.sort().values
        flat(self._mask[name]).index_fill_(0, self._index[name], True)

    @torch.no_grad()
    def apply_(self) -> None:
        """Zero every dead weight."""
        for name, mask in self._mask.items():
            self.parameters[name].masked_fill_(~mask, 0.0)  # also where it is not finite


# --- exact choices ----------------------------------------------------------------------------
