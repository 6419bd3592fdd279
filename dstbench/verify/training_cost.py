"""Training FLOPs that a run can have, from its method and the live weights of its network.

The count is that of `metrics.training_cost`, step by step. It is exact where every tensor keeps its
number of live weights and no step could have been of either engine; else it has two limits.
"""

from collections.abc import Iterable
from typing import NamedTuple

from dstbench.core.drop_grow import DropGrow
from dstbench.core.method import Method
from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.data.batch_plan import BatchPlan
from dstbench.metrics.cost import cost
from dstbench.recording.types import Record
from dstbench.training.settings import Run


class Limits(NamedTuple):
    """Fewest and most training FLOPs; equal where they are exact."""

    lowest: int
    highest: int


def training_flops(run: Run, begin: State, final: State, plan: BatchPlan) -> Limits:
    """Return the training FLOPs that a run can have.

    begin: the run's State before its first masks.
    final: with the finished network.
    plan: the batches of an epoch.
    """
    counted = cost(final.model, final.masks, final.image_shape)
    offset, dense = counted["offset_macs"], counted["dense_macs"]
    fewest = counted["macs"] - offset
    parts = _parts(run.method)
    most = fewest if _keep_counts(parts) else dense
    if any(part.redistributes for part in parts):
        fewest = 0  # the live weights may have been in layers of fewer pixels
    adds = any(type(p).extra_training_macs is not Part.extra_training_macs for p in parts)
    total = run.epochs * plan.steps_per_epoch
    begin.total_steps = total
    lowest = highest = 0
    for step in range(total):
        images, extra = plan.size_at(step), 0
        if adds:
            begin.step = step
            run.method.before_step(begin)
            extra = run.method.extra_training_macs(begin)
        reads = run.method.needs_dense_gradients(step + 1, total)
        passes = 2 * offset + 3 * extra
        lowest += images * (passes + 2 * fewest + (dense if reads else fewest))
        highest += images * (passes + 2 * most + (dense if reads else most))
    return Limits(2 * lowest, 2 * highest)


def training_flops_problem(record: Record, limits: Limits) -> str | None:
    """Return a message if a record's training FLOPs are outside the limits, else None."""
    claimed = record["cost"].get("training_flops")
    if claimed is None or limits.lowest <= claimed <= limits.highest:
        return None  # older records have none
    if limits.lowest == limits.highest:
        return f"cost.training_flops is {claimed}, not {limits.lowest}"
    return f"cost.training_flops is {claimed}, not from {limits.lowest} to {limits.highest}"


def _parts(method: Part) -> tuple[Part, ...]:
    return method.parts if isinstance(method, Method) else (method,)


def _keep_counts(parts: Iterable[Part]) -> bool:
    """Return whether every tensor has as many live weights during training as at its end."""
    return not any(
        part.dense_to_sparse
        or part.redistributes
        or (part.moves_masks and not isinstance(part, DropGrow))
        for part in parts
    )
