"""Batch norms, biases and scales of a network, read from the model and written to it."""

import numpy as np
import torch
from torch import Tensor, nn

from dstbench.graph.steps import BatchNorm
from dstbench.graph.unsupported import Unsupported
from dstbench.native.compiled_passes import Compiled
from dstbench.native.layers import Filters
from dstbench.native.storage_views import StorageViews
from dstbench.native.tables import (
    EMPTY,
    N_BIAS,
    N_BIAS_GRADIENT,
    N_EPS,
    N_MEAN,
    N_RUNNING_MEAN,
    N_RUNNING_VAR,
    N_VAR,
    N_WEIGHT,
    N_WEIGHT_GRADIENT,
    NUMBERS,
)
from dstbench.native.wiring import Wiring


class Parameters:
    """The numbers of all filters, float64 (filters, NUMBERS), and the scale of each convolution.

    Running averages are read from the model once, and kept until `push_back_`.

    Raises Unsupported: when two layers have one batch norm, bias or scale in common.
    """

    def __init__(self, model: nn.Module, wiring: Wiring):
        self.wiring = wiring
        tensors = dict(model.named_parameters()) | dict(model.named_buffers())
        _refuse_common(wiring.layers.filters)
        self.numbers = np.zeros((len(wiring.channel_of), NUMBERS))
        self.numbers[:, N_WEIGHT] = 1
        self.scales = np.ones(len(wiring.layers.filters))
        # what is read at every call
        self._read: list[tuple[Tensor, slice, int]] = []  # tensor, filters, column
        self._averages: list[tuple[Tensor, slice, int]] = []
        self._counters: list[Tensor] = []
        self._scales: list[tuple[int, Tensor]] = []
        self._momentum = np.zeros(len(wiring.channel_of))
        self._held = False
        self._stored = next(model.parameters()).detach().numpy().dtype.type
        for number, filters in enumerate(wiring.layers.filters):
            own = wiring.of_filters(number)
            if filters.scale is not None:
                self._scales.append((number, tensors[filters.scale]))
            if filters.bias is not None:
                self._read.append((tensors[filters.bias], own, N_BIAS))
            if filters.norm is not None:
                self._add_norm(filters.norm, own, tensors)
        self._views = StorageViews([tensor for tensor, _, _ in self._read])
        self._pixels = (wiring.height * wiring.width)[wiring.channel_of]
        self._rows, self._columns = self._gradient_places()
        self._sizes = [len(tensor) for tensor, _, _ in self._read]

    def _gradient_places(self) -> tuple[np.ndarray, np.ndarray]:
        """Return where in `numbers` the gradients of all tensors that are read are, in turn."""
        every = np.arange(len(self.numbers))
        gradient = {N_WEIGHT: N_WEIGHT_GRADIENT, N_BIAS: N_BIAS_GRADIENT}
        rows = [every[own] for _, own, _ in self._read]
        columns = [np.full(len(every[own]), gradient[column]) for _, own, column in self._read]
        empty = [np.zeros(0, np.int64)]
        return np.concatenate(rows + empty), np.concatenate(columns + empty)

    def _add_norm(self, norm: BatchNorm, own: slice, tensors: dict[str, Tensor]) -> None:
        self.numbers[own, N_EPS] = norm.eps
        self._momentum[own] = norm.momentum
        for name, column in ((norm.weight, N_WEIGHT), (norm.bias, N_BIAS)):
            if name is not None:
                self._read.append((tensors[name], own, column))
        for name, column in ((norm.mean, N_RUNNING_MEAN), (norm.var, N_RUNNING_VAR)):
            self._averages.append((tensors[name], own, column))
        counter = tensors.get(norm.mean.removesuffix("running_mean") + "num_batches_tracked")
        if counter is not None:
            self._counters.append(counter)

    def pull(self) -> None:
        """Read the model's parameters, and its running averages unless newer ones are kept here."""
        for (_, own, column), values in zip(self._read, self._views.current(), strict=True):
            self.numbers[own, column] = values
        for number, tensor in self._scales:
            self.scales[number] = float(tensor.detach())
        if not self._held:
            for tensor, own, column in self._averages:
                self.numbers[own, column] = tensor.numpy()

    def count_batch(self, compiled: Compiled, images: int) -> None:
        """Move the running averages by the statistics of one batch."""
        live = compiled.live
        if not self._held:
            self._held = True
            self._batches = 0
        self._batches += 1
        count = np.maximum(self._pixels * images, 2)
        empty = live.filter_kind == EMPTY
        mean = np.where(empty, 0, self.numbers[:, N_MEAN])
        var = np.where(empty, 0, self.numbers[:, N_VAR] * count / (count - 1))
        keep = 1 - self._momentum
        for column, new in ((N_RUNNING_MEAN, mean), (N_RUNNING_VAR, var)):
            moved = keep * self.numbers[:, column] + self._momentum * new
            # rounded as in the model, so that writing them there changes nothing
            self.numbers[:, column] = moved.astype(self._stored)

    def push_back_(self) -> None:
        """Write the running averages into the model."""
        if not self._held:
            return
        with torch.no_grad():
            for tensor, own, column in self._averages:
                tensor.copy_(torch.from_numpy(np.ascontiguousarray(self.numbers[own, column])))
            for counter in self._counters:
                counter += self._batches
        self._held = False

    def clear_gradients(self) -> None:
        """Filters that no logit depends on have no gradient."""
        self.numbers[:, N_WEIGHT_GRADIENT] = 0
        self.numbers[:, N_BIAS_GRADIENT] = 0

    def write_gradients(self, scales: np.ndarray) -> None:
        """Set the model's `.grad`s.

        scales: gradient of each convolution's scale.
        """
        found = torch.from_numpy(self.numbers[self._rows, self._columns].astype(self._stored))
        for (tensor, _, _), gradient in zip(self._read, found.split(self._sizes), strict=True):
            if tensor.requires_grad:
                tensor.grad = gradient
        for number, tensor in self._scales:
            if tensor.requires_grad:
                tensor.grad = torch.tensor(scales[number], dtype=tensor.dtype)


def _refuse_common(filters: list[Filters]) -> None:
    used: set[str] = set()
    for f in filters:
        norm = () if f.norm is None else (f.norm.mean, f.norm.weight, f.norm.bias)
        for name in (f.scale, f.bias, *norm):
            if name in used:
                raise Unsupported(f"{name} belongs to more than one layer.")
            if name is not None:
                used.add(name)
