"""GraSP: prune the weights whose removal reduces the gradient flow the least, before training.

Wang, Zhang and Grosse 2020, "Picking winning tickets before training by preserving gradient flow",
Algorithm 1, and the public code of its authors.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dstbench.config.registry import register
from dstbench.core.state import State
from dstbench.errors import UserError, require
from dstbench.methods.global_pruning import GlobalPruning, ScoredCopy

Batch = tuple[Tensor, Tensor]

_PATIENCE = 100  # images read before a class is given up, in numbers of images wanted


@register("parts")
class GraSP(GlobalPruning):
    """Chooses static masks: the weights of the highest w · (H g) over all layers together.

    g is the gradient and H the Hessian of the cross-entropy of `logits / temperature`: −2w · (H g)
    is, to first order, what removing the weight adds to ‖g‖², the gradient flow. The scores have a
    sign: weights whose removal increases the flow are pruned first.

    As in published code, the images are the same number of each class, sorted by class and halved,
    and g and H g are sums over the halves, each with its own batch statistics. Linear layers are
    scored at weights drawn anew from Xavier's normal distribution; the network trains its own. The
    images are augmented and normalised as in training.

    sparsity: fraction removed of the original network's prunable weights, in [0, 1).
    images_per_class: training images of each class in one repeat.
    repeats: sets of images over which g and H g are summed.
    temperature: divides the logits.
    redraw_linear: whether linear layers are scored at weights drawn anew; False scores them at
        the network's own.

    Raises UserError: when a setting is out of range, when there are no training images or too few
        of a class, and when the scores of the whole network vanish or are not finite.
    """

    def __init__(
        self,
        sparsity: float,
        images_per_class: int = 10,
        repeats: int = 1,
        temperature: float = 200.0,
        redraw_linear: bool = True,
    ):
        super().__init__(sparsity, batch_statistics=True)
        allowed = "from 1 to 1,000: they are one batch"
        require(1 <= images_per_class <= 1000, self, "images_per_class", images_per_class, allowed)
        require(repeats >= 1, self, "repeats", repeats, "at least 1")
        require(temperature > 0, self, "temperature", temperature, "above 0")
        self.images_per_class, self.repeats = images_per_class, repeats
        self.temperature, self.redraw_linear = temperature, redraw_linear

    @torch.enable_grad()
    def scores(self, state: State, network: ScoredCopy) -> Tensor:
        if self.redraw_linear:
            redraw_linear_(network.model, state.rng)
        halves = [half for _ in range(self.repeats) for half in self._halves(state, network.model)]
        flow = [torch.zeros_like(weight) for weight in network.weights]
        for half in halves:
            flow = [f + g for f, g in zip(flow, self._gradients(network, half), strict=True)]
        for half in halves:
            gradients = self._gradients(network, half, differentiable=True)
            products = [(f * g).sum() for f, g in zip(flow, gradients, strict=True)]
            torch.stack(products).sum().backward()  # type: ignore[no-untyped-call]
        return network.values() * network.take_gradients()

    def _gradients(
        self, network: ScoredCopy, batch: Batch, differentiable: bool = False
    ) -> tuple[Tensor, ...]:
        """Return the gradient of each prunable tensor, in its shape; zeros without one."""
        images, labels = batch
        loss = cross_entropy(network.model(images).float() / self.temperature, labels)
        return torch.autograd.grad(
            loss, network.weights, create_graph=differentiable, materialize_grads=True
        )

    def _halves(self, state: State, model: nn.Module) -> list[Batch]:
        """Return `images_per_class` images of each class, sorted by class, in two batches."""
        images, labels = state.next_batch()
        with torch.no_grad():
            classes = model(images).shape[-1]
        chosen: list[list[Tensor]] = [[] for _ in range(classes)]
        wanted, read = classes * self.images_per_class, 0
        while True:
            for image, label in zip(images, labels.tolist(), strict=True):
                if len(chosen[label]) < self.images_per_class:
                    chosen[label].append(image)
            read += len(images)
            if all(len(images) == self.images_per_class for images in chosen):
                break
            self._refuse_rare(chosen, read, wanted)
            images, labels = state.next_batch()
        every = torch.stack([image for images in chosen for image in images])
        sorted_labels = torch.arange(classes).repeat_interleave(self.images_per_class)
        labels = sorted_labels.to(every.device)
        half = wanted // 2
        return [(every[:half], labels[:half]), (every[half:], labels[half:])]

    def _refuse_rare(self, chosen: list[list[Tensor]], read: int, wanted: int) -> None:
        """Refuse training images of which a class has too few, after many were read."""
        if read >= _PATIENCE * wanted:
            fewest = min(range(len(chosen)), key=lambda label: len(chosen[label]))
            raise UserError(
                f"GraSP.images_per_class = {self.images_per_class}: of {read} training images, "
                f"{len(chosen[fewest])} are of class {fewest}. Lower it.",
                "GraSP.images_per_class",
            )


@torch.no_grad()
def redraw_linear_(model: nn.Module, rng: torch.Generator) -> None:
    """Draw the weights of linear layers from N(0, 2/(inputs + outputs)), in place."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            # contiguous, so that the draws are the same in any memory layout
            values = torch.empty(module.weight.shape, dtype=module.weight.dtype)
            module.weight.copy_(nn.init.xavier_normal_(values, generator=rng))
