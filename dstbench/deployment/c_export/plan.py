"""In which order a program's planes are computed, and where each is in the arena."""

from dataclasses import dataclass

from dstbench.deployment.c_export.arena import place
from dstbench.deployment.c_export.plane_graph import plane_graph
from dstbench.deployment.c_export.plane_order import best_order
from dstbench.deployment.runtime.program import Program


@dataclass(frozen=True)
class Plan:
    """Order and places of a program's planes.

    order: numbers of the planes that the logits need.
    starts: plane → its first pixel.
    pixels: of the arena.
    bound: the most pixels that are needed at a time; no arena for this order is smaller.
    sums: pixels of the widest row: a row is summed up beside the arena.
    """

    order: tuple[int, ...]
    starts: dict[int, int]
    pixels: int
    bound: int
    sums: int


def plan_of(program: Program) -> Plan:
    """Return a plan with a small arena. Takes seconds for a large program."""
    graph = plane_graph(program)
    order = best_order(graph)
    arena = place(graph, order)
    widest = int(program.sizes()[:, 1].max())
    return Plan(order, arena.starts, arena.size, arena.bound, widest)
