"""Cost of training, in MACs of all images of all steps.

For one image of one step, with the MACs of live weights S, of the dense network D, of dense offsets
O and of what parts add E (such as DyReLU's):

    forward pass                        S + O + E
    gradients of the layers' inputs     S + O + E
    gradients of the weights            S + E, or D + E where a part reads dense gradients

In a step in which an engine computes the gradients of live weights alone, no part reads dense ones.

Without O and E this is the count of Evci et al. 2020, appendix H: 3·f_S, and 2·f_S + f_D in a step
whose dense gradients RigL reads. As there, the first layer's input gradients are counted, and
biases, normalisation, activations and the optimizer are not. Neither are choosing the first masks
and evaluation.
"""

from collections.abc import Callable

from torch import Tensor

from dstbench.core.masks import Masks
from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.metrics.call_sites import call_sites
from dstbench.metrics.cost import cost, live_macs_of


class TrainingCost(Part):
    """Adds the MACs of every step to `state.training_macs`.

    method: the method that is trained.
    state: the run's State, with its masks.
    images_at: step (from 0) → images of its batch, on all processes together.
    """

    def __init__(self, method: Part, state: State, images_at: Callable[[int], int]):
        self.method, self.images_at = method, images_at
        self.sites = call_sites(state.model, state.image_shape)
        counted = cost(state.model, state.masks, state.image_shape)
        self.dense_macs, self.offset_macs = counted["dense_macs"], counted["offset_macs"]
        self._indices: list[Tensor] = []
        self._live_macs = self.dense_macs

    def needs_dense_gradients(self, step: int, total_steps: int) -> bool:
        return False

    def after_backward(self, state: State) -> None:
        state.training_macs += self.images_at(state.step) * self.macs_of_image(state)

    def macs_of_image(self, state: State) -> int:
        """Return the MACs of one image in the step that is being taken."""
        live = self._count_live(state.masks)
        dense = not state.masks.live_gradients and self.method.needs_dense_gradients(
            state.step + 1, state.total_steps
        )
        extra = self.method.extra_training_macs(state)
        passes = 2 * (live + self.offset_macs) + 3 * extra
        return passes + (self.dense_macs if dense else live)

    def _count_live(self, masks: Masks) -> int:
        """Return the MACs of live weights, counted anew only when a mask has moved."""
        indices = [masks.index(name) for name in masks]  # a mask that moves gets a new tensor
        if list(map(id, indices)) != list(map(id, self._indices)):
            self._indices = indices
            self._live_macs = sum(live_macs_of(masks, site) for site in self.sites)
        return self._live_macs


def dense_training_macs(dense_macs: int, images: int) -> int:
    """Return the MACs of training the original network on so many images: 3 · f_D each."""
    return 3 * dense_macs * images
