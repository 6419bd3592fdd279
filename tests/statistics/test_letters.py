"""Compact letter displays: two items share a letter exactly if they do not differ."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from dstbench.statistics.letters import letter_groups


def letters_of(text):
    """Return the letters of one item; a digit belongs to the letter before it."""
    return set(filter(None, "".join(f" {c}" if c.isalpha() else c for c in text).split()))


@given(st.integers(0, 7).flatmap(lambda n: st.tuples(
    st.just(n),
    st.sets(st.sampled_from([*combinations(range(n), 2)])) if n > 1 else st.just(set()),
)))  # fmt: skip
def test_items_share_a_letter_exactly_if_they_do_not_differ(case):
    count, different = case
    groups = [letters_of(text) for text in letter_groups(count, different)]
    assert all(groups)
    for i, j in combinations(range(count), 2):
        assert bool(groups[i] & groups[j]) == ((i, j) not in different)


def test_the_best_item_is_in_group_a():
    assert letter_groups(3, {(0, 2)}) == ["a", "ab", "b"]
    assert letter_groups(3, {(0, 1), (0, 2)}) == ["a", "b", "b"]
    assert letter_groups(2, set()) == ["a", "a"]
    assert letter_groups(0, set()) == []


def test_more_groups_than_letters_have_numbers():
    everything = set(combinations(range(28), 2))
    assert letter_groups(28, everything)[25:] == ["z", "a1", "b1"]
