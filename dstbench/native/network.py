"""NativeNetwork: a masked network whose training steps touch live weights and channels only."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from dstbench.core.masks import Masks
from dstbench.data.images import Shape
from dstbench.graph.trace import trace
from dstbench.native import tables
from dstbench.native.arena import Arena
from dstbench.native.compiled_passes import Compiled
from dstbench.native.dynamic_modules import DynamicModules
from dstbench.native.entry_points import run
from dstbench.native.layers import Layers
from dstbench.native.parameters import Parameters
from dstbench.native.program import compile_program
from dstbench.native.read_layers import layers_of
from dstbench.native.tables import Program
from dstbench.native.tasks import CACHE_LINE, END
from dstbench.native.training_pass import refuse_other_training
from dstbench.native.wiring import Array, WeightVector, Wiring, taps_of


class NativeNetwork:
    """Losses, gradients and logits of a masked network, on a CPU.

    The torch model keeps all weights, biases, batch norms and scales; they are read at every call.
    Only the running averages of batch norm are kept here, until `push_back_`.

    model: the network, on the CPU.
    masks: its masks; a weight without one is live.
    image_shape: channels, height, width.
    threads: that compute a step. Results do not depend on their number.
    dtype: of all computation, float32 or float64.

    Raises Unsupported: for a network that is not known here; the message names the layer.
    """

    def __init__(
        self,
        model: nn.Module,
        masks: Masks,
        image_shape: Shape,
        threads: int = 1,
        dtype: torch.dtype = torch.float32,
    ):
        self.model, self.masks, self.image_shape = model, masks, image_shape
        self.threads, self.dtype = threads, dtype
        self._number = np.dtype(np.float64 if dtype == torch.float64 else np.float32)
        self._arena = Arena(self._number)
        self._pool = ThreadPoolExecutor(max(1, threads - 1))
        self.compile_()

    def compile_(self) -> None:
        """Compile the network as it is now: after its masks have moved, or its layers changed.

        Raises Unsupported: as the constructor.
        """
        self.layers: Layers = layers_of(trace(self.model, self.image_shape), self.image_shape)
        refuse_other_training(self.model, self.image_shape)
        self._wiring = Wiring(self.layers)
        self._parameters = Parameters(self.model, self._wiring)
        self._dynamic = DynamicModules(self.model, self._wiring)
        self.remask_()

    def remask_(self) -> None:
        """Compile the network for masks that have moved; its layers are the same."""
        self._weights = WeightVector(self.layers, self.model, self.masks)
        self._taps = taps_of(self._wiring, self._weights)
        self._programs: dict[int, Compiled] = {}  # images of a batch → what computes it
        self._latest: Compiled | None = None

    def forward_backward(
        self, images: Tensor, labels: Tensor, label_smoothing: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Return (loss, logits) of a batch and set the gradients.

        images: (B, C, H, W). labels: int64 (B,).
        label_smoothing: share of the target that is divided among all classes, in [0, 1).

        loss is the mean cross-entropy, a scalar; logits are (B, classes). Each masked tensor that
        requires a gradient gets an entry of `masks.live_gradients`, every other parameter `.grad`.
        """
        compiled = self.compiled(len(images))
        logits = self._forward(compiled, images, evaluate=False)
        loss = nn.functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
        gradient = logits.softmax(1)  # minus the target, over B: the gradient of the mean
        gradient -= label_smoothing / gradient.shape[1]
        gradient[torch.arange(len(labels)), labels] -= 1 - label_smoothing
        gradient /= len(labels)
        self._backward(compiled, gradient)
        self._parameters.count_batch(compiled, len(images))
        return loss.to(self.dtype), logits.to(self.dtype)

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits (B, classes) of images (B, C, H, W) in evaluation mode."""
        size = max(self._programs, default=len(images))
        parts = [
            self._forward(self.compiled(len(part)), part, evaluate=True)
            for part in images.split(size)
        ]
        return torch.cat(parts).to(self.dtype)

    def push_back_(self) -> None:
        """Write the running averages into the torch model."""
        self._parameters.push_back_()

    def memory(self) -> int:
        """Return the bytes of its arenas and tables."""
        return self._arena.nbytes()

    # --- one pass ---------------------------------------------------------------------------------

    def compiled(self, images: int) -> Compiled:
        """Return the program for batches of a size."""
        if images not in self._programs:
            self._programs[images] = compile_program(
                self._wiring,
                self._taps,
                self._parameters.numbers,
                self._arena,
                images,
                self.threads,
            )
        compiled = self._programs[images]
        if compiled is not self._latest:  # another one has used the same memory
            compiled.reset_memory_()
            self._latest = compiled
        return compiled

    def _forward(self, compiled: Compiled, images: Tensor, evaluate: bool) -> Tensor:
        """Return the logits, float64 (B, classes)."""
        program = compiled.forward
        self._parameters.pull()
        self._weight_values = self._weights.read()
        self._tap_weights(compiled)
        program.evaluate[0] = evaluate
        self._put_images(program, images)
        self._dynamic.begin(compiled)
        cuts = compiled.order.forward_cuts
        for k, (first, end) in enumerate(pairwise(cuts)):
            if k > 0:
                self._dynamic.put_coefficients(k - 1, program)
            self._run(compiled, _until(program, end), first, is_backward=False)
        return torch.from_numpy(self._read_logits(compiled))

    def _tap_weights(self, compiled: Compiled) -> None:
        taps = compiled.taps
        self._factors = taps.weight * self._parameters.scales[taps.convolution]
        values = np.append(self._weight_values, 1.0)[taps.value]  # a fixed weight's number is -1
        compiled.forward.weights[:] = values * self._factors

    def _put_images(self, program: Program, images: Tensor) -> None:
        count, batch = program.batch
        size = images[0].numel() * int(batch)
        planes = torch.from_numpy(program.values[:size]).view(-1, int(batch))
        planes[:, :count].copy_(images.reshape(len(images), -1).t())

    def _read_logits(self, compiled: Compiled) -> Array:
        """Return the values of the last node's channels, which have one pixel each."""
        program = compiled.forward
        images = int(program.batch[0])
        own = self._wiring.of_node(len(self.layers.nodes) - 1)
        logits = np.empty((images, own.stop - own.start))
        for k, n in enumerate(range(own.start, own.stop)):
            base = int(program.channels[n, tables.C_BASE])
            if program.channels[n, tables.C_KIND] == tables.CONSTANT:
                logits[:, k] = program.levels[base]
                continue
            view = program.views[n]
            seen = program.values[base : base + images].astype(np.float64)
            seen = seen * view[tables.V_SCALE] + view[tables.V_SHIFT]
            logits[:, k] = np.clip(seen, view[tables.V_LOW], view[tables.V_HIGH])
        return logits

    def _backward(self, compiled: Compiled, gradient: Tensor) -> None:
        """gradient: of the loss by the logits, (B, classes)."""
        program, place = compiled.backward, compiled.place
        images, batch = (int(v) for v in program.batch)
        classes = gradient.shape[1]
        planes = program.gradients[place.loss : place.loss + classes * batch]
        planes = planes.reshape(classes, batch)
        planes[:, images:] = 0
        planes[:, :images] = gradient.numpy().T
        program.tap_gradients[:] = 0
        self._parameters.clear_gradients()
        cuts = compiled.order.backward_cuts
        for k, (first, end) in enumerate(pairwise(cuts)):
            if k > 0:
                self._dynamic.put_mean_gradients(len(cuts) - 2 - k, program)
            self._run(compiled, _until(program, end), first, is_backward=True)
        taps = compiled.taps
        stored = taps.value >= 0
        weights = np.bincount(
            taps.value[stored],
            (program.tap_gradients * self._factors)[stored],
            minlength=len(self._weights),
        )
        by_scale = program.tap_gradients[stored] * taps.weight[stored]
        by_scale *= self._weight_values[taps.value[stored]]
        scales = np.bincount(taps.convolution[stored], by_scale, minlength=len(self.layers.filters))
        self._weights.write_gradients(weights, self.masks)
        self._parameters.write_gradients(scales)

    def _run(self, compiled: Compiled, program: Program, first: int, is_backward: bool) -> None:
        """Run the tasks from `first` on, and return when all threads are done."""
        next_task = np.full(CACHE_LINE, first, np.int64)
        done = np.full(CACHE_LINE * self.threads, END, np.int64)
        others = [
            self._pool.submit(
                run, program, is_backward, t, self.threads, next_task, done, compiled.scratch[t]
            )
            for t in range(1, self.threads)
        ]
        run(program, is_backward, 0, self.threads, next_task, done, compiled.scratch[0])
        for other in others:
            other.result()


def _until(program: Program, end: int) -> Program:
    """Return a program of the tasks before `end`."""
    return program._replace(order=program.order[:end], after=program.after[:end])
