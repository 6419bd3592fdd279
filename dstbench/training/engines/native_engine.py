"""The engine that computes with live weights alone, and with torch where it cannot."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dstbench.core.masks import live_gradient
from dstbench.core.state import State
from dstbench.graph.unsupported import Unsupported
from dstbench.models.structure import Structure
from dstbench.recording.types import EngineName
from dstbench.training.engines.torch_engine import TorchEngine

if TYPE_CHECKING:
    from dstbench.native.network import NativeNetwork


class NativeEngine:
    """Runs a `NativeNetwork` for plain steps and evaluation, and torch for the rest.

    A step goes through torch, in fp32, when a part requires dense gradients, when a module is not
    in training mode, and as long as the network cannot be compiled. The network is compiled anew
    when masks moved or the model's structure changed, which parts do in their hooks between two
    steps; both are compared at every call.

    Between native steps the running averages of batch norm are in the compiled network; the
    model's buffers have those of the last `push_back_`, which comes before every step of torch.

    state: the run's State, with its masks, on the CPU.
    fallback: the engine of the torch model; its loss is that of native steps, too.
    threads: CPU threads.
    note: prints a message; None prints nothing.
    too_dense: returns why the network as it is now should not be compiled, None if it should;
        called when masks moved. For methods that begin with many live weights.
    """

    name: EngineName = "native"

    def __init__(
        self,
        state: State,
        fallback: TorchEngine,
        threads: int = 1,
        note: Callable[[str], None] | None = None,
        too_dense: Callable[[], str | None] = lambda: None,
    ):
        self.model, self.masks, self.image_shape = state.model, state.masks, state.image_shape
        self.fallback, self.threads = fallback, threads
        self.problem: str | None = None
        self._note, self._too_dense = note or (lambda text: None), too_dense
        self._noted: set[str] = set()
        self._native_steps = 0
        self._network: NativeNetwork | None = None
        self._version: int | None = None  # of the masks when it was compiled
        self._is_unsupported = False
        self._structure = Structure(self.model)

    @property
    def steps(self) -> dict[str, int]:
        return {"native": self._native_steps, **self.fallback.steps}

    def compile_(self) -> bool:
        """Compile if masks or modules changed; return whether the network is compiled.

        problem: why it is not, None if it is.
        """
        same_layers = self._version is not None and self._structure.is_current()
        if same_layers and (self._version == self.masks.version or self._is_unsupported):
            return self.problem is None
        self._version, self._structure = self.masks.version, Structure(self.model)
        self._is_unsupported, self.problem = False, self._too_dense()
        if self.problem is not None:
            self.push_back_()
            self._network = None  # of earlier masks; its memory is free
            return False
        from dstbench.native.network import NativeNetwork  # loads the compiler

        try:
            if self._network is None:
                self._note_once(
                    "Compiling the network for the native engine; the first time on a machine, "
                    "this takes about a minute."
                )
                self._network = NativeNetwork(
                    self.model, self.masks, self.image_shape, self.threads
                )
            else:
                self._network.push_back_()
                if same_layers:
                    self._network.remask_()
                else:
                    self._network.compile_()
        except Unsupported as error:
            self._network, self.problem = None, error.message.rstrip(".")
            self._is_unsupported = True  # whatever the masks
            return False
        return True

    def forward_backward(
        self, images: Tensor, labels: Tensor, dense: bool
    ) -> tuple[Tensor, Tensor]:
        if dense or not self._can_train():
            self.push_back_()
            return self.fallback.forward_backward(images, labels)
        assert self._network is not None
        self._native_steps += 1
        return self._network.forward_backward(images, labels, self.fallback.label_smoothing)

    def logits(self, images: Tensor) -> Tensor:
        if not self.compile_():
            self.push_back_()
            return self.fallback.logits(images)
        assert self._network is not None
        return self._network.logits(images)

    def push_back_(self) -> None:
        if self._network is not None:
            self._network.push_back_()

    @torch.no_grad()
    def live_gradients(self, images: Tensor, labels: Tensor) -> dict[str, Tensor] | None:
        """Return the gradients of live weights on a batch in training mode, and change nothing.

        images: float32 (B, C, H, W).
        labels: int64 (B,).

        Masked tensor → (live,), in the order of `masks.index`. None while the network cannot be
        compiled.
        """
        self.push_back_()
        if not self.compile_():
            return None
        assert self._network is not None
        parameters = list(self.model.parameters())
        gradients, live = [p.grad for p in parameters], dict(self.masks.live_gradients)
        buffers = [(b, b.clone()) for b in self.model.buffers()]
        for parameter in parameters:
            parameter.grad = None
        self.masks.live_gradients.clear()
        try:
            self._network.forward_backward(images, labels)
            found = {name: live_gradient(self.masks, name) for name in self.masks}
        finally:
            self._network.push_back_()
            for buffer, before in buffers:
                buffer.copy_(before)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            self.masks.live_gradients.clear()
            self.masks.live_gradients.update(live)
        return {name: gradient for name, gradient in found.items() if gradient is not None}

    def _can_train(self) -> bool:
        """Return whether the next step can be native; report once why it cannot."""
        if not self.compile_():
            self._note_once(f"Steps run through torch for now: {self.problem}.")
            return False
        if not self._structure.is_training:
            self._note_once("Steps run through torch while a module is in evaluation mode.")
            return False
        return True

    def _note_once(self, text: str) -> None:
        if text not in self._noted:
            self._noted.add(text)
            self._note(text)
