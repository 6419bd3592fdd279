"""Which ranges of a memory are free while planes come and go."""

from bisect import bisect_left

MAX_RANGES = 1000  # a search looks at all of them; a ResNet-50 has 200


class FreeMemory:
    """A memory without an end, whose ranges are taken and given back.

    end: as much of it as has been used.
    """

    def __init__(self, first: int):
        """Everything from `first` on is free."""
        self.end = first
        # Free ranges below `end`, in order, none next to another.
        self._starts: list[int] = []
        self._lengths: list[int] = []

    def take(self, length: int) -> int:
        """Return the first index of a range, now taken: the smallest free one that is enough."""
        best = -1
        for number, free in enumerate(self._lengths):
            if free >= length and (best < 0 or free < self._lengths[best]):
                best = number
                if free == length:
                    break
        if best < 0:
            return self._at_end(length)
        start = self._starts[best]
        if self._lengths[best] == length:
            del self._starts[best], self._lengths[best]
        else:
            self._starts[best] += length
            self._lengths[best] -= length
        return start

    def give_back(self, start: int, length: int) -> None:
        """Free a range that was taken.

        With more than MAX_RANGES free ranges the smallest is forgotten, so that no file can make
        the search last.
        """
        at = bisect_left(self._starts, start)
        if at < len(self._starts) and start + length == self._starts[at]:
            length += self._lengths[at]
            del self._starts[at], self._lengths[at]
        if at > 0 and self._starts[at - 1] + self._lengths[at - 1] == start:
            self._lengths[at - 1] += length
        else:
            self._starts.insert(at, start)
            self._lengths.insert(at, length)
            if len(self._starts) > MAX_RANGES:  # the smallest is not used again
                smallest = self._lengths.index(min(self._lengths))
                del self._starts[smallest], self._lengths[smallest]

    def _at_end(self, length: int) -> int:
        """Take a range that reaches beyond what was used; a free one at the end is part of it."""
        start = self.end
        if self._starts and self._starts[-1] + self._lengths[-1] == self.end:
            start = self._starts.pop()
            self._lengths.pop()
        self.end = start + length
        return start
