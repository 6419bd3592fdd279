"""Contradictions between records: one attempt or network in several runs, names that look alike.

None of the records is wrong by itself. A record of the suite's own method is never rejected for the
name of another.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from dstbench.boards.names import skeleton, suite_methods
from dstbench.boards.same_networks import same_networks
from dstbench.recording.types import Record

T = TypeVar("T")


def conflicts(
    records: Iterable[tuple[T, Record]],
) -> Iterator[tuple[tuple[T, ...], str]]:
    """Yield groups of records that contradict each other, with a message about all of a group.

    records: each with its key, such as its path.
    """
    records = list(records)
    yield from _shared_attempts(records)
    yield from same_networks(records)
    yield from _alike(records, "method", suite_methods())
    yield from _alike(records, "model", set())


def _shared_attempts(
    records: list[tuple[T, Record]],
) -> Iterator[tuple[tuple[T, ...], str]]:
    holders: dict[str, dict[T, str]] = defaultdict(dict)
    for key, record in records:
        holders[record["provenance"]["attempt"]][key] = record["config"]["sha256"]
    for attempt, configs in holders.items():
        if len(set(configs.values())) > 1:
            yield (
                tuple(configs),
                f"have the same provenance.attempt, {attempt[:8]}…, and different configurations "
                "or seeds: one run gives one record",
            )


def _alike(
    records: list[tuple[T, Record]], field: str, own: set[str]
) -> Iterator[tuple[tuple[T, ...], str]]:
    by_skeleton: dict[str, dict[str, list[T]]] = defaultdict(lambda: defaultdict(list))
    for name in own:
        by_skeleton[skeleton(name)][name] = []
    for key, record in records:
        name = _name(record, field)
        by_skeleton[skeleton(name)][name].append(key)
    for names in by_skeleton.values():
        known = [name for name in names if name in own]
        wrong = {name: keys for name, keys in names.items() if name not in known}
        if len(names) > 1 and wrong:
            listed = " and ".join(repr(name) for name in sorted(names))
            yield (
                tuple(key for keys in wrong.values() for key in keys),
                f"{field} names look alike: {listed}. Give one of them another name",
            )


def _name(record: Mapping[str, object], field: str) -> str:
    return str(record[field])
