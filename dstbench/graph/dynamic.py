"""Dynamic activations: modules whose slopes and intercepts depend on each image."""

from typing import NoReturn, Protocol, runtime_checkable

from torch import Tensor

from dstbench.graph.steps import Dynamic
from dstbench.graph.unsupported import Unsupported


@runtime_checkable
class DynamicActivation(Protocol):
    """A module that computes, channel by channel,

        y = max(a₁x + b₁, a₂x + b₂) + r · max(x, 0)

    with coefficients a₁, a₂, b₁, b₂ of each channel and image that depend on x only through its
    means over pixels. Where both terms of the first maximum are equal, the gradient goes to the
    second. A module that has these members is traced as one step, and nothing else of it is looked
    at.
    """

    @property
    def is_dynamic(self) -> bool:
        """Whether it computes this now; if not, the functions that it calls are traced."""

    def coefficients_of(self, means: Tensor) -> Tensor:
        """Return (a₁, a₂, b₁, b₂), (4, B, C), from the means over pixels, (B, C)."""

    @property
    def relu_fraction(self) -> float:
        """r."""


def refuse_dynamic(action: Dynamic) -> NoReturn:
    """Raise the Unsupported of what computes finished networks only."""
    raise Unsupported(
        f"{action.layer} is still a dynamic activation, not a plain ReLU yet, and cannot be "
        "compiled. Finish the run, or choose an epoch after it was phased out."
    )
