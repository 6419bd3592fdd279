"""Results outside the grids: runs of other settings get columns of their own.

Two runs share a column only if everything that is not the method's own is equal: epochs, batch
size, rates, optimizer, data, pipeline and model. Column.variant says what differs.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from dstbench.boards.cells import Column, Key, Result
from dstbench.config.shared_settings import comparable_lines, differing


def with_variants(
    results: Sequence[Result], in_grids: Mapping[Key, Iterable[Result]]
) -> list[Result]:
    """Return the results with `variant` set in their columns.

    in_grids: the results of the grids' cells, whose columns keep an empty variant.
    """
    groups: dict[Column, list[Result]] = defaultdict(list)
    for result in results:
        groups[_setting(result.key)].append(result)
    fixed: dict[Column, list[Result]] = defaultdict(list)
    for key, own in in_grids.items():
        fixed[_setting(key)] += own
    return [
        one for setting, group in groups.items() for one in _named(group, fixed[setting], in_grids)
    ]


def _named(
    group: Sequence[Result], fixed: Sequence[Result], in_grids: Mapping[Key, Iterable[Result]]
) -> Iterable[Result]:
    every = list(dict.fromkeys(_shared(r) for r in [*fixed, *group]))
    names = dict(zip(every, differing(every), strict=True))
    of_grids = {_shared(r) for r in fixed}
    for result in group:
        shared = _shared(result)
        variant = names[shared]
        if of_grids and shared not in of_grids:
            variant = variant or "other settings"
        elif shared in of_grids:
            variant = ""
        if not variant and (taken := list(in_grids.get(result.key, ()))):
            variant = _own_difference(result, taken[0])
        column = result.key.column._replace(variant=variant)
        yield dataclasses.replace(result, key=Key(result.key.method, column))


def _own_difference(result: Result, taken: Result) -> str:
    """Return what differs from the grid's configuration of the same cell."""
    lines = [frozenset(r.configuration.splitlines()) for r in (result, taken)]
    return differing(lines)[0] or "another configuration"


def _setting(key: Key) -> Column:
    return key.column._replace(sparsity=0.0, variant="")


def _shared(result: Result) -> frozenset[str]:
    return comparable_lines(result.configuration, result.images)
