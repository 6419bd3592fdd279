"""Lists of names in a message, which names only the first ones of many."""

from collections.abc import Sequence


def listed(names: Sequence[str], most: int) -> str:
    """Return the first names and how many more there are: 'a, b and 7 more'; empty for none.

    most: how many are named.
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
