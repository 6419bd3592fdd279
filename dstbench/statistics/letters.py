"""Compact letter display: items with a common letter cannot be told apart.

Source: Piepho, "An algorithm for a letter-based representation of all-pairwise comparisons",
Journal of Computational and Graphical Statistics 13, 2004 (insert and absorb).
"""

from collections.abc import Collection

_ALPHABET = "abcdefghijklmnopqrstuvwxyz"


def letter_groups(count: int, different: Collection[tuple[int, int]]) -> list[str]:
    """Return the letters of each item; two items share one exactly if they are not in `different`.

    count: number of items 0, 1, …, best first: the first group with the best item is a.
    different: pairs of items that differ significantly.
    """
    groups = [frozenset(range(count))] if count else []
    for i, j in sorted(tuple(sorted(pair)) for pair in different):
        split: list[frozenset[int]] = []
        for group in groups:
            split += [group - {i}, group - {j}] if {i, j} <= group else [group]
        unique = list(dict.fromkeys(split))
        groups = [one for one in unique if not any(one < other for other in unique)]
    groups.sort(key=sorted)
    return [
        "".join(_letter(k) for k, group in enumerate(groups) if item in group)
        for item in range(count)
    ]


def _letter(number: int) -> str:
    """Return a, b, …, z, then a1, b1, …"""
    rounds, rest = divmod(number, len(_ALPHABET))
    return _ALPHABET[rest] + (str(rounds) if rounds else "")
