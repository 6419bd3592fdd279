"""Lists in a message: names, of which only the first ones of many are named, and sizes."""

from collections.abc import Sequence


def listed(names: Sequence[str], most: int) -> str:
    """Return the first names and how many more there are: 'a, b and 7 more'; empty for none.

    most: how many are named.
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def times(sizes: Sequence[int]) -> str:
    """Return sizes as 3×32×32."""
    return "×".join(map(str, sizes))
