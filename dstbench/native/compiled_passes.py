"""What a network is compiled to, for one size of batch."""

from dataclasses import dataclass

from dstbench.native.liveness import Liveness
from dstbench.native.memory import Places
from dstbench.native.order import Order
from dstbench.native.tables import Program, Scratch
from dstbench.native.wiring import Taps


@dataclass
class Compiled:
    """A network, compiled for one size of batch.

    forward, backward: the two passes; they have the same tables.
    scratch: one a thread.
    live: what is live. order: of the tasks. taps: as the kernels number them.
    place: where everything is stored.
    """

    forward: Program
    backward: Program
    scratch: tuple[Scratch, ...]
    live: Liveness
    order: Order
    taps: Taps
    place: Places

    def reset_memory_(self) -> None:
        """Set to 0 what has to be, after another program used the memory."""
        zeros, plane = self.place.zeros, self.place.largest_plane
        self.forward.values[zeros : zeros + plane] = 0
        self.forward.levels[-1] = 0
        self.forward.coefficient_gradients[:] = 0  # those that nothing depends on stay 0
