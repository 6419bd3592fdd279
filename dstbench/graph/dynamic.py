"""Dynamic activations: modules whose slopes and intercepts depend on each image."""

from typing import NamedTuple, NoReturn, Protocol, runtime_checkable

from torch import nn

from dstbench.graph.steps import Dynamic
from dstbench.graph.unsupported import Unsupported


class Blending(NamedTuple):
    """The numbers of a dynamic activation that may change from step to step.

    start, range: of a₁, a₂, b₁, b₂.
    relu: r.
    """

    start: tuple[float, float, float, float]
    range: tuple[float, float, float, float]
    relu: float


@runtime_checkable
class DynamicActivation(Protocol):
    """A module that computes, channel by channel,

        y = max(a₁x + b₁, a₂x + b₂) + r · max(x, 0)

    with coefficients of each channel and image, from the means m of x over pixels:

        (a₁, a₂, b₁, b₂) = start + range · (2σ(W₂ · max(W₁m + c₁, 0) + c₂) − 1)

    Where both terms of the first maximum are equal, the gradient goes to the second. A module that
    has these members is traced as one step, and nothing else of it is looked at.

    squeeze_weight, squeeze_bias: W₁, (hidden, channels), and c₁.
    excite_weight, excite_bias: W₂, (4 · channels, hidden), and c₂; of all channels a₁, then a₂, …
    """

    squeeze_weight: nn.Parameter
    squeeze_bias: nn.Parameter
    excite_weight: nn.Parameter
    excite_bias: nn.Parameter

    @property
    def is_dynamic(self) -> bool:
        """Whether it computes this now; if not, the functions that it calls are traced."""

    def blending(self) -> Blending:
        """Return the present start, range and r."""


def refuse_dynamic(action: Dynamic) -> NoReturn:
    """Raise the Unsupported of what computes finished networks only."""
    raise Unsupported(
        f"{action.layer} is still a dynamic activation, not a plain ReLU yet, and cannot be "
        "compiled. Finish the run, or choose an epoch after it was phased out."
    )
