"""AC/DC: phases of sparse and of dense training that alternate.

Peste et al. 2021, "AC/DC: alternating compressed/decompressed training of deep neural networks",
Algorithm 1 and section 5.
"""

from itertools import pairwise

from dstbench.config.registry import register
from dstbench.core.part import Part
from dstbench.core.schedules import step_at
from dstbench.core.state import BudgetRule, State
from dstbench.errors import UserError, require, require_sparsity
from dstbench.methods.global_magnitude import (
    Division,
    keep_largest_,
    make_all_live_,
    refuse_other_sparsity,
)


@register("parts")
class ACDC(Part):
    """Alternates dense and compressed phases; masks are the largest magnitudes at each compression.

    A run begins with a dense phase and ends with a dense and a compressed one, all three of lengths
    of their own. Between them, compressed and dense phases alternate, evenly long, and the first
    and the last of these are compressed. Within a phase masks do not move. Pruned weights come back
    at zero, and the optimizer's state of all parameters is then reset, as in the published
    experiments. The paper also keeps the network of the last dense phase; here it is not kept.

    sparsity: of a compressed phase; fraction removed of the original network's prunable weights.
    of: divides live weights among layers: @GlobalMagnitude(), or a budget, such as @Uniform().
    compressed_phases: number of compressed phases, the last one included; at least 2.
    warmup: length of the first dense phase, fraction of the run.
    last_dense: length of the last dense phase, fraction of the run.
    last_compressed: length of the last compressed phase, fraction of the run.

    Raises UserError: when a setting is out of range, or a phase would have no optimizer step.
    """

    moves_masks = True
    dense_to_sparse = True

    def __init__(
        self,
        sparsity: float,
        of: Division,
        compressed_phases: int = 5,
        warmup: float = 0.05,
        last_dense: float = 0.1,
        last_compressed: float = 0.15,
    ):
        require_sparsity(self, sparsity)
        allowed = "at least 2"
        require(compressed_phases >= 2, self, "compressed_phases", compressed_phases, allowed)
        own = {"warmup": warmup, "last_dense": last_dense, "last_compressed": last_compressed}
        for name, length in own.items():
            require(0 < length < 1, self, name, length, "a fraction of the run in (0, 1)")
        if sum(own.values()) >= 1:
            raise UserError(
                f"ACDC's first and last two phases last {sum(own.values()):g} of the run, which "
                "leaves nothing for the others. Shorten ACDC.warmup, ACDC.last_dense or "
                "ACDC.last_compressed.",
                "ACDC.last_compressed",
            )
        self.sparsity, self.of, self.compressed_phases = sparsity, of, compressed_phases
        self.warmup, self.last_dense, self.last_compressed = warmup, last_dense, last_compressed
        refuse_other_sparsity(self, of)

    @property
    def budget(self) -> BudgetRule:
        return self.of

    def switches(self, total_steps: int) -> list[int]:
        """Return the steps after which a phase ends: compressed phases begin at even places."""
        middle = 2 * self.compressed_phases - 3
        length = (1 - self.warmup - self.last_dense - self.last_compressed) / middle
        ends = [self.warmup + length * i for i in range(middle)]
        ends += [1 - self.last_compressed - self.last_dense, 1 - self.last_compressed]
        return [step_at(end, total_steps) for end in ends]

    def final_structure_step(self, total_steps: int) -> int:
        return self.switches(total_steps)[-1]

    def check(self, total_steps: int) -> None:
        ends = [0, *self.switches(total_steps), total_steps]
        if any(later <= earlier for earlier, later in pairwise(ends)):
            raise UserError(
                f"ACDC has {2 * self.compressed_phases} phases, and in a run of {total_steps} "
                "optimizer steps one of them would have none. Train longer (Run.epochs), or lower "
                "ACDC.compressed_phases.",
                "ACDC.compressed_phases",
            )

    def needs_dense_gradients(self, step: int, total_steps: int) -> bool:
        return False

    def init_masks(self, state: State) -> None:
        make_all_live_(state)
        self.of.live_counts(state, self.sparsity)  # refuses what the network cannot have

    def after_step(self, state: State) -> None:
        switches = self.switches(state.total_steps)
        if state.step not in switches:
            return
        if switches.index(state.step) % 2 == 0:
            keep_largest_(state, self.of.live_counts(state, self.sparsity))
        else:
            make_all_live_(state)
            assert state.optimizer is not None
            state.optimizer.reset_state()
