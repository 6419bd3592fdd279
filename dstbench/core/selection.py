"""Selection of exactly k indices: random, largest, largest among free (dead) weights."""

import torch
from torch import Tensor


def random_subset(n: int, k: int, rng: torch.Generator) -> Tensor:
    """Return k of the numbers 0 … n−1, each subset equally likely: (k,) int64 on the CPU."""
    if not 0 <= k <= n:
        raise ValueError(f"cannot choose {k} of {n}")
    if 4 * k >= n:
        return torch.randperm(n, generator=rng)[:k]
    distinct = torch.empty(0, dtype=torch.int64)
    while len(distinct) < k:  # draw until k differ; by symmetry any k of them are a fair choice
        more = torch.randint(n, (k - len(distinct) + k // 4 + 8,), generator=rng)
        distinct = torch.cat([distinct, more]).unique()
    return distinct[torch.randperm(len(distinct), generator=rng)[:k]]


def _pick(candidates: Tensor, k: int, rng: torch.Generator) -> Tensor:
    """Return k of the candidates at random."""
    if k == len(candidates):
        return candidates
    return candidates[random_subset(len(candidates), k, rng).to(candidates.device)]


def largest(scores: Tensor, k: int, rng: torch.Generator) -> Tensor:
    """Return the indices of the k largest scores, (k,) int64; ties are broken at random.

    scores: (n,) floating point; NaN ranks below everything.
    k: 0 ≤ k ≤ n.
    """
    if k == 0:
        return torch.empty(0, dtype=torch.int64, device=scores.device)
    scores = scores.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    n = len(scores)
    if 2 * k <= n:
        boundary = scores.topk(k, sorted=False).values.min()
    else:  # the same value, counted from the other end
        boundary = scores.topk(n - k + 1, largest=False, sorted=False).values.max()
    above = (scores > boundary).nonzero().view(-1)
    tied = (scores == boundary).nonzero().view(-1)
    return torch.cat([above, _pick(tied, k - len(above), rng)])


def largest_free(scores: Tensor | None, taken: Tensor, k: int, rng: torch.Generator) -> Tensor:
    """Return the indices of the k largest scores that are not `taken`, ties broken at random.

    The result is that of a full sort, found by a threshold: a sample of the scores gives one that a
    few times k scores pass, and only these are ranked. If too few pass (a poor sample, or nearly
    all scores equal), all are ranked.

    scores: (n,) zero or more; None for a random choice.
    taken: (n,) bool, indices that must not be chosen.

    Raises ValueError: when fewer than k indices are free.
    """
    n = len(taken)
    if k == 0:
        return torch.empty(0, dtype=torch.int64, device=taken.device)
    if scores is None:
        return _random_free(taken, k, rng)
    sample_size = 16384
    if n > 8 * sample_size and 16 * k < n:
        stride = n // sample_size
        sample = scores[::stride].masked_fill(taken[::stride], -1.0)
        rank = min(len(sample), 4 + 2 * k * len(sample) // n)
        threshold = sample.topk(rank, sorted=False).values.min()
        # A threshold of zero would let every zero gradient pass; ranking all is then as fast.
        passed = (scores >= threshold).nonzero().view(-1) if threshold > 0 else None
        if passed is not None:
            passed = passed[~taken[passed]]
            if len(passed) >= k:
                return passed[largest(scores[passed], k, rng)]
    free = (~taken).nonzero().view(-1)
    if len(free) < k:
        raise ValueError(f"cannot grow {k} weights: only {len(free)} are free")
    values = scores[free]
    positive = values > 0
    if int(positive.sum()) < k:  # the rest are ties at zero, chosen without ranking them
        chosen, zeros = free[positive], free[~positive]
        return torch.cat([chosen, _pick(zeros, k - len(chosen), rng)])
    return free[largest(values, k, rng)]


def _random_free(taken: Tensor, k: int, rng: torch.Generator) -> Tensor:
    """Return k free indices at random, each subset equally likely."""
    n = len(taken)
    free_count = n - int(taken.sum())
    if free_count < k:
        raise ValueError(f"cannot grow {k} weights: only {free_count} are free")
    if 2 * free_count < n or 8 * k > n:
        return _pick((~taken).nonzero().view(-1), k, rng)
    # Mostly free: draw indices and keep the free ones until k differ.
    found = torch.empty(0, dtype=torch.int64, device=taken.device)
    while len(found) < k:
        drawn = torch.randint(n, (2 * k + 16,), generator=rng).to(taken.device)
        found = torch.cat([found, drawn[~taken[drawn]]]).unique()
    return _pick(found, k, rng)
