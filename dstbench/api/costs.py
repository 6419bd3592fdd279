"""`dstbench.cost`: what the finished network of a run will cost; nothing is trained."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Unpack

import pandas as pd

from dstbench.api.choices import ChoiceArguments, MethodLike, choose
from dstbench.config.choices import Choices
from dstbench.config.gin_state import isolated
from dstbench.data.images import Shape
from dstbench.errors import UserError
from dstbench.recording.types import CostReport
from dstbench.training.untrained_cost import figures


@dataclass(frozen=True)
class CountedCost:
    """The cost of a network.

    report: all counts; `dstbench.recording.types.CostReport` documents every field.
    """

    report: CostReport

    @property
    def macs(self) -> int:
        """MACs of one image, of live weights and a dense offset."""
        return self.report["macs"]

    @property
    def live_weights(self) -> int:
        """Live weights, each tensor once."""
        return self.report["live_weights"]

    @property
    def layers(self) -> pd.DataFrame:
        """One row a prunable tensor: shape, live weights, size, MACs."""
        return pd.DataFrame(self.report["layers"]).set_index("name")


def cost(
    method: MethodLike,
    *,
    image: Shape | None = None,
    classes: int | None = None,
    **choices: Unpack[ChoiceArguments],
) -> CountedCost:
    """Return the cost of a run's finished network.

    method, choices: as those of `run`.
    image: (channels, height, width); None for that of the known dataset.
    classes: number of classes; None for that of the known dataset.

    Raises UserError for wrong choices, and where shape or classes are not known.
    """
    if image is not None and not (
        isinstance(image, tuple | list)
        and len(image) == 3
        and all(isinstance(side, int) and side > 0 for side in image)
    ):
        raise UserError(
            f"image = {image!r}: expected (channels, height, width), such as (3, 32, 32)."
        )
    if classes is not None and (not isinstance(classes, int) or classes < 1):
        raise UserError(f"classes = {classes!r}: expected a number of classes.")
    return count(choose(method, **choices)[0], image, classes)


def count(
    choices: Choices,
    image: Shape | None,
    classes: int | None,
    note: Callable[[str], None] = lambda text: None,
) -> CountedCost:
    """Return the cost of the run that the choices define.

    note: called with a message when the network has to be built with values, which can take long.
    """
    with isolated():
        return CountedCost(figures(choices, image, classes, note))
