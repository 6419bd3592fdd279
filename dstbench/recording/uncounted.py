"""What the numbers of a record leave out, in words: for every place that shows them."""

from collections.abc import Mapping

from dstbench.recording.types import Cost, Sparsity
from dstbench.sparsity import percent
from dstbench.utils.listed import listed

OTHER_USES = "other uses of"  # a prunable tensor that only functions without a count read
_NAMED = 4  # names that a text lists


def unpruned_text(of: Sparsity | Cost) -> str | None:
    """Return the dense weights that the sparsity does not cover; None if there are none."""
    sizes = of.get("unpruned")
    if not sizes:
        return None
    largest = sorted(sizes, key=lambda name: -sizes[name])
    named = listed([f"{name} ({sizes[name]:,})" for name in largest], _NAMED)
    fraction = percent(round(of.get("unpruned_fraction", 0.0), 6))
    return f"{sum(sizes.values()):,} weights beside them, {fraction} without embeddings: {named}"


def uncounted_text(cost: Cost) -> str | None:
    """Return the products of a forward pass that the MACs do not cover; None if there are none."""
    calls: Mapping[str, int] = cost.get("uncounted") or {}
    parts = [name if count == 1 else f"{count} × {name}" for name, count in calls.items()]
    if unused := [name for name in cost.get("unused", ()) if f"{OTHER_USES} {name}" not in calls]:
        parts.append(
            f"{listed(unused, _NAMED)} (no step uses {'it' if len(unused) == 1 else 'them'})"
        )
    return listed(parts, _NAMED) if parts else None
