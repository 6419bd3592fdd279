"""Selection: exact and fair choices of k indices.

Choices made by threshold or by sampling are compared with a full sort. Random choices are counted
often enough, with fixed seeds, to detect a bias.
"""

from collections import Counter
from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from dstbench.core import selection
from dstbench.core.selection import largest, largest_free, random_subset

MILLIONTH = 1e-6  # a fair choice looks more unfair than this once in a million seeds


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def chosen(index):
    """Return a choice as a set; fails if an index occurs twice."""
    indices = index.tolist()
    assert len(set(indices)) == len(indices)
    return set(indices)


def sorted_best(scores, k, allowed=None):
    """The k best by a full sort: the slow way that every fast one must agree with."""
    order = scores.argsort(descending=True, stable=True)
    if allowed is not None:
        order = order[allowed[order]]
    return set(order[:k].tolist())


# --- random_subset --------------------------------------------------------------------------------


@given(st.integers(0, 400), st.data())
def test_random_subset_is_exact(n, data):
    k = data.draw(st.integers(0, n))
    subset = chosen(random_subset(n, k, generator(data.draw(st.integers(0, 99)))))
    assert len(subset) == k and subset <= set(range(n))


@pytest.mark.parametrize("n, k", [(3, 4), (3, -1), (0, 1)])
def test_random_subset_refuses_impossible_counts(n, k):
    with pytest.raises(ValueError):
        random_subset(n, k, generator())


@pytest.mark.parametrize("n, k", [(6, 2), (12, 2), (5, 4), (20, 1)])  # half permuted, half drawn
def test_random_subset_is_uniform_over_subsets(n, k):
    rng = generator(1)
    subsets = [frozenset(c) for c in combinations(range(n), k)]
    seen = Counter(frozenset(random_subset(n, k, rng).tolist()) for _ in range(60 * len(subsets)))
    assert chisquare([seen[s] for s in subsets]).pvalue > MILLIONTH


def test_random_subset_of_a_large_range_is_uniform():
    rng = generator(2)
    draws = torch.cat([random_subset(1_000_000, 500, rng) for _ in range(40)])
    assert chisquare(torch.histc(draws.double(), 20, 0, 1_000_000)).pvalue > MILLIONTH


def test_random_subset_depends_on_its_generator_only():
    first = random_subset(1000, 10, generator(3))
    torch.manual_seed(99)
    assert torch.equal(first, random_subset(1000, 10, generator(3)))
    assert not torch.equal(first, random_subset(1000, 10, generator(4)))


# --- largest --------------------------------------------------------------------------------------


@given(st.integers(1, 80), st.data())
def test_largest_matches_sorting(n, data):
    k = data.draw(st.integers(0, n))
    scores = torch.tensor(data.draw(st.permutations(range(n))), dtype=torch.float32)
    assert chosen(largest(scores, k, generator())) == sorted_best(scores, k)


@pytest.mark.parametrize("k", [1, 17, 1000, 150_000, 150_001, 299_999, 300_000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_largest_of_a_large_tensor_matches_sorting(k, dtype):
    scores = torch.randperm(300_000, generator=generator(5)).to(dtype)
    assert chosen(largest(scores, k, generator())) == sorted_best(scores, k)


@given(st.lists(st.sampled_from([0.0, -0.0, 1.0, 2.0, -1.0, 1e30]), min_size=1), st.data())
def test_largest_with_ties_is_exact_and_never_worse(scores, data):
    k = data.draw(st.integers(0, len(scores)))
    index = largest(torch.tensor(scores), k, generator(data.draw(st.integers(0, 9))))
    assert len(chosen(index)) == k
    assert sorted(scores[i] for i in index) == sorted(scores)[len(scores) - k :]


@pytest.mark.parametrize("k", [2, 4])
def test_largest_breaks_ties_fairly(k):
    scores, rng = torch.tensor([0.0, 1, 1, 1, 1, 1, 9]), generator(6)
    seen = Counter(i for _ in range(2000) for i in largest(scores, k, rng).tolist())
    assert seen[6] == 2000 and seen[0] == 0
    assert chisquare([seen[i] for i in range(1, 6)]).pvalue > MILLIONTH


def test_largest_ranks_nan_last_and_keeps_the_count():
    nan, inf = torch.nan, torch.inf
    scores = torch.tensor([nan, 1.0, inf, nan, -3.0, 2.0])
    assert chosen(largest(scores, 4, generator())) == {1, 2, 4, 5}
    five = chosen(largest(scores, 5, generator()))
    assert {1, 2, 4, 5} < five and len(five) == 5
    assert len(chosen(largest(torch.full((6,), nan), 3, generator()))) == 3


# --- largest_free ---------------------------------------------------------------------------------


@given(st.integers(1, 80), st.data())
def test_largest_free_matches_sorting_the_free(n, data):
    scores = torch.tensor(data.draw(st.permutations(range(n))), dtype=torch.float32)
    free = torch.tensor(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    k = data.draw(st.integers(0, int(free.sum())))
    assert chosen(largest_free(scores, ~free, k, generator())) == sorted_best(scores, k, free)


def large(kind):
    """300,000 scores, and what is taken: cases that are easy and hard on a sampled threshold."""
    n, rng = 300_000, generator(7)
    scores = torch.randperm(n, generator=rng).float()
    taken = torch.rand(n, generator=rng) < 0.02
    if kind == "best taken":
        taken = scores > 250_000
    elif kind == "best sampled":  # the sample sees only the best: hardly anything passes
        scores = torch.arange(n).float()
        scores[::18] += n
    elif kind == "best unsampled":  # and here none of the best
        scores = torch.arange(n).float()
        scores[::18] = -1.0
    elif kind == "ascending":
        scores = torch.arange(n).float()
    elif kind == "few positive":  # nearly all gradients are exactly zero
        scores = torch.where(scores < 5000, scores + 1, 0)
    elif kind == "all but few taken":
        taken = torch.rand(n, generator=rng) < 0.9
    return scores.clamp_(min=0), taken


@pytest.mark.parametrize("k", [1, 60, 2000, 18_000])
@pytest.mark.parametrize(
    "kind",
    ["random", "best taken", "best sampled", "best unsampled", "ascending", "few positive",
     "all but few taken"],
)  # fmt: skip
def test_largest_free_of_a_large_tensor_matches_sorting(kind, k):
    scores, taken = large(kind)
    got = chosen(largest_free(scores, taken, k, generator()))
    positive = sorted_best(scores, min(k, int((scores[~taken] > 0).sum())), ~taken)
    assert positive <= got and len(got) == k
    assert not taken[list(got)].any()
    if len(positive) == k:
        assert got == positive


def test_largest_free_ranks_few_scores_of_a_large_tensor(monkeypatch):
    """The speed is a promise too: a threshold lets only a few times k scores be ranked."""
    ranked = []

    def spy(scores, k, rng):
        ranked.append(len(scores))
        return largest(scores, k, rng)

    monkeypatch.setattr(selection, "largest", spy)
    scores, taken = large("random")
    largest_free(scores, taken, 2000, generator())
    assert ranked and max(ranked) < 10 * 2000


def test_largest_free_breaks_ties_fairly_among_the_free():
    scores = torch.tensor([0.0, 1, 1, 1, 1, 1, 1, 9, 9])
    taken = torch.tensor([0, 0, 1, 0, 0, 1, 0, 0, 1], dtype=torch.bool)
    rng = generator(8)
    seen = Counter(i for _ in range(2000) for i in largest_free(scores, taken, 3, rng).tolist())
    assert set(seen) == {1, 3, 4, 6, 7} and seen[7] == 2000
    assert chisquare([seen[i] for i in (1, 3, 4, 6)]).pvalue > MILLIONTH


def test_largest_free_breaks_ties_at_zero_fairly():
    scores = torch.tensor([0.0, 0, 0, 0, 3, 0])
    taken = torch.tensor([0, 1, 0, 0, 0, 0], dtype=torch.bool)
    rng = generator(9)
    seen = Counter(i for _ in range(2000) for i in largest_free(scores, taken, 3, rng).tolist())
    assert seen[4] == 2000 and seen[1] == 0
    assert chisquare([seen[i] for i in (0, 2, 3, 5)]).pvalue > MILLIONTH


def test_largest_free_breaks_ties_fairly_behind_the_threshold():
    n, rng = 300_000, generator(10)
    scores = torch.rand(n, generator=rng)
    tied = random_subset(n, 40, rng)
    scores[tied] = 2.0
    taken = torch.zeros(n, dtype=torch.bool)
    taken[tied[:10]] = True
    seen = Counter(i for _ in range(300) for i in largest_free(scores, taken, 10, rng).tolist())
    assert set(seen) == set(tied[10:].tolist())
    assert chisquare([seen[i] for i in tied[10:].tolist()]).pvalue > MILLIONTH


@pytest.mark.parametrize("n, n_free, k", [(30, 20, 3), (30, 5, 3), (30, 20, 15), (30, 3, 3)])
def test_largest_free_without_scores_is_uniform(n, n_free, k):
    rng = generator(11)
    free = random_subset(n, n_free, rng)
    taken = torch.ones(n, dtype=torch.bool).index_fill_(0, free, False)
    seen = Counter()
    for _ in range(1500):
        index = largest_free(None, taken, k, rng)
        assert len(chosen(index)) == k
        seen.update(index.tolist())
    assert set(seen) <= set(free.tolist())
    assert chisquare([seen[i] for i in free.tolist()]).pvalue > MILLIONTH


@given(st.integers(1, 60), st.data())
def test_largest_free_without_scores_has_exact_count(n, data):
    taken = torch.tensor(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    k = data.draw(st.integers(0, int((~taken).sum())))
    got = chosen(largest_free(None, taken, k, generator()))
    assert len(got) == k and not taken[list(got)].any()


@pytest.mark.parametrize("bad", ["all", "half", "sampled"])
@pytest.mark.parametrize("n", [60, 300_000])
def test_largest_free_ranks_nan_last_and_keeps_the_count(n, bad):
    scores = torch.randperm(n, generator=generator(12)).float() + 1
    nan = torch.zeros(n, dtype=torch.bool)
    nan[{"all": slice(None), "half": slice(0, n // 2), "sampled": slice(0, None, 18)}[bad]] = True
    taken = torch.arange(n) % 3 == 0
    expected = sorted_best(scores, 10, ~taken & ~nan) if bad != "all" else None
    got = chosen(largest_free(scores.masked_fill(nan, torch.nan), taken, 10, generator()))
    assert len(got) == 10 and not taken[list(got)].any()
    assert expected is None or got == expected


@pytest.mark.parametrize("n", [30, 300_000])
@pytest.mark.parametrize("scored", [True, False])
def test_largest_free_refuses_more_than_is_free(n, scored):
    taken = torch.ones(n, dtype=torch.bool)
    taken[:2] = False
    scores = torch.ones(n) if scored else None
    assert chosen(largest_free(scores, taken, 2, generator())) == {0, 1}
    with pytest.raises(ValueError, match="cannot grow 3 weights: only 2 are free"):
        largest_free(scores, taken, 3, generator())
