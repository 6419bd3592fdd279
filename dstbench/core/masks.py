"""Masks: which weights are live, and the flat views in which they are indexed.

Masks are kept beside the model, not inside it: a dead weight is a zero in the parameter, so
gradients are dense. Each mask is stored twice: as a boolean tensor, to find dead weights, and as
the sorted flat indices of its live weights, to gather them. Flat indices are in storage order, so
that a channels_last weight is never copied.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from dstbench.core.prunable import prunable
from dstbench.errors import UserError


def flat(tensor: Tensor) -> Tensor:
    """Return the elements in storage order: a 1-D view, never a copy.

    Raises ValueError: for a tensor with gaps or overlaps, which has no such view.
    """
    if tensor.is_contiguous():
        return tensor.detach().view(-1)
    dims = sorted(range(tensor.dim()), key=tensor.stride, reverse=True)
    if not tensor.permute(dims).is_contiguous():
        sizes = [d for d in dims if tensor.size(d) > 1]  # the stride of a size-1 dim is arbitrary
        expected = 1
        for d in reversed(sizes):
            if tensor.stride(d) != expected:
                raise ValueError(
                    "the tensor has gaps or overlaps in memory, so it has no flat view"
                )
            expected *= tensor.size(d)
    return tensor.detach().as_strided((tensor.numel(),), (1,))


def storage_index(parameter: Tensor, index: Tensor) -> Tensor:
    """Return flat indices in storage order of flat indices in row order, on the parameter's device.

    index: int64, of a tensor without gaps.
    """
    where = torch.unravel_index(index, parameter.shape)
    strides = parameter.stride()
    found = sum((w * s for w, s in zip(where, strides, strict=True)), torch.zeros_like(index))
    return found.to(parameter.device)


def row_index(parameter: Tensor, index: Tensor) -> Tensor:
    """Return flat indices in row order of flat indices in storage order, on the indices' device.

    index: int64, of a tensor without gaps.
    """
    result = torch.zeros_like(index)
    row_stride = parameter.numel()
    for size, stride in zip(parameter.shape, parameter.stride(), strict=True):
        row_stride //= size
        result += (index // stride) % size * row_stride
    return result


def gradient_of(parameter: Tensor) -> Tensor | None:
    """Return the dense gradient in the parameter's storage order, (numel,); None without one."""
    gradient = parameter.grad
    if gradient is None:
        return None
    if gradient.stride() != parameter.stride():
        gradient = torch.empty_like(parameter).copy_(gradient)
    return flat(gradient)


def live_gradient(masks: "Masks", name: str) -> Tensor | None:
    """Return the gradient of a masked tensor's live weights, (live,); None without one.

    In the order of `masks.index(name)`: from `masks.live_gradients` where an engine computed only
    these, else gathered from the dense gradient.
    """
    gradient = masks.live_gradients.get(name)
    if gradient is not None:
        return gradient
    dense = gradient_of(masks.parameters[name])
    return None if dense is None else dense[masks.index(name)]


def _refuse_wrong(name: str, ascending: Tensor, numel: int) -> None:
    """Raise UserError for what are not flat indices of a tensor, each once.

    On a GPU the host would have to wait for the values: there they are not looked at.
    """
    wrong = ""
    if ascending.dtype != torch.int64 or ascending.dim() != 1:
        wrong = f"{ascending.dtype} of shape {list(ascending.shape)}"
    elif ascending.device.type == "cpu" and len(ascending):
        if ascending[0] < 0 or ascending[-1] >= numel:
            wrong = f"indices from {ascending[0]} to {ascending[-1]}"
        elif (twice := ascending[1:] == ascending[:-1]).any():
            wrong = f"{ascending[1:][twice][0]} twice"
    if wrong:
        raise UserError(
            f"{name}: its live weights were set to {wrong}. Give int64 flat indices from 0 to "
            f"{numel - 1:,}, each once, in one dimension."
        )


class Masks(Mapping[str, Tensor]):
    """Parameter name → boolean mask (True: live), of its parameter's shape and memory layout.

    Only tensors that a method made sparse have one; the Masks of a dense method are empty. A tensor
    that several layers share is one entry.

    parameters: name → every prunable parameter, masked or not, in the model's order.
    live_gradients: name → gradient of the live weights, (live,) float32, in the order of `index`,
        after a step in which an engine computed only these; empty otherwise. Such a tensor's
        `.grad` is None. `live_gradient` reads either.
    version: a number that grows whenever a mask is written, so that an engine knows when to
        recompile. Not stored in checkpoints.
    """

    def __init__(self, model: nn.Module):
        self.parameters = prunable(model)
        self._mask: dict[str, Tensor] = {}
        self._index: dict[str, Tensor] = {}
        self.live_gradients: dict[str, Tensor] = {}
        self.version = 0

    def __getitem__(self, name: str) -> Tensor:
        return self._mask[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self.parameters if name in self._mask)  # in the model's order

    def __len__(self) -> int:
        return len(self._mask)

    def index(self, name: str) -> Tensor:
        """Return the live weights as sorted int64 flat indices in storage order."""
        return self._index[name]

    def live(self, name: str) -> int:
        """Return the number of live weights of a prunable tensor (all of them without a mask)."""
        return len(self._index[name]) if name in self._index else self.parameters[name].numel()

    def counts(self) -> dict[str, int]:
        """Return name → live weights of every prunable tensor, masked or not, each tensor once."""
        return {name: self.live(name) for name in self.parameters}

    def total(self) -> int:
        """Return the live weights of the whole network; a shared tensor counts once."""
        return sum(self.counts().values())

    def numel(self) -> int:
        """Return the prunable weights of the whole network, live or dead, each tensor once."""
        return sum(parameter.numel() for parameter in self.parameters.values())

    @torch.no_grad()
    def write_(self, name: str, index: Tensor) -> None:
        """Make exactly the weights at `index` live, in place. The weights are not changed.

        Parts call `State.set_live_` instead, which also updates weights and optimizer state.

        index: int64 flat indices in storage order, in any order, each once.

        Raises UserError for other indices; what they are is seen on a CPU only.
        """
        parameter = self.parameters[name]
        ascending = index.sort().values
        _refuse_wrong(name, ascending, parameter.numel())
        if name in self._mask:
            flat(self._mask[name]).index_fill_(0, self._index[name], False)
        else:
            self._mask[name] = torch.zeros_like(parameter, dtype=torch.bool, requires_grad=False)
        self._index[name] = ascending
        flat(self._mask[name]).index_fill_(0, self._index[name], True)
        self.live_gradients.pop(name, None)  # in the order of the earlier index
        self.version += 1

    @torch.no_grad()
    def apply_(self) -> None:
        """Zero every dead weight."""
        for name, mask in self._mask.items():
            self.parameters[name].masked_fill_(~mask, 0.0)  # also where it is not finite
