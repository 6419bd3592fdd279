"""What `dstbench compare` prints: a line for each pair, the verdict, two networks side by side."""

from dstbench.comparison.finished_runs import ComparedRuns
from dstbench.comparison.sequential import DIVERGED_ACCURACY, Comparison, Outcome
from dstbench.recording.types import Record
from dstbench.sparsity import percent
from dstbench.statistics.symmetry_test import LEVEL, THRESHOLD


def pair_line(found: Comparison, names: tuple[str, str]) -> str:
    """Return the last pair in one line, with the evidence so far.

    names: of A and B, as they are printed.
    """
    pair = found.pairs[-1]
    a, b = (f"{name} {_text(one)}" for name, one in zip(names, (pair.a, pair.b), strict=True))
    return (
        f"seed {pair.seed:<3} {a}   {b}   difference {pair.difference:+.2f}   "
        f"evidence {found.evidence:.3g} of {THRESHOLD:g}"
    )


def _text(one: Outcome) -> str:
    if one.remark == "diverged":
        return f"{DIVERGED_ACCURACY:g} (diverged)"
    return f"{one.accuracy:.2f}" + (f" ({one.remark})" if one.remark else "")


def verdict(found: Comparison, names: tuple[str, str], trained: int) -> list[str]:
    """Return the lines of the result.

    names: of A and B, as they are printed.
    trained: number of runs that this command trained.
    """
    n, decision = len(found.pairs), found.decision
    if decision is None:
        lines = [f"not decided after {n} pairs of seeds."]
    else:
        ahead, behind = names if decision.sign > 0 else names[::-1]
        lines = [
            f"{ahead} is ahead of {behind} in a typical pair of seeds: decided after {n} pairs."
        ]
        if decision.sign * found.differences.mean() < 0:
            lines.append(
                f"note: {behind} has the higher mean, by a few pairs with large differences"
            )
    lines.append(
        f"mean difference ({names[0]} minus {names[1]}): {found.differences.mean():+.2f} "
        f"percentage points; {_interval_text(found)}"
    )
    reused = 2 * n - trained
    lines.append(f"runs: {trained} trained, {reused} reused")
    outcomes = [one for pair in found.pairs for one in (pair.a, pair.b)]
    for remark in ("collapsed", "diverged"):
        counts = [sum(p.a.remark == remark for p in found.pairs),
                  sum(p.b.remark == remark for p in found.pairs)]  # fmt: skip
        if any(counts):
            lines.append(f"{remark}: {names[0]} {counts[0]} of {n}, {names[1]} {counts[1]} of {n}")
    if any(one.selected_on_test for one in outcomes):
        lines.append("note: the epochs were chosen on the test images; accuracies are too high")
    return lines


def _interval_text(found: Comparison) -> str:
    if found.interval is None:
        return "no common centre of the differences is compatible with the pairs"
    low, high = found.interval
    if (low, high) == (-100, 100):
        return "too few pairs for an interval"
    return f"95 % interval of their centre, valid after every pair: {low:+.2f} to {high:+.2f}"


def image_lines(found: ComparedRuns) -> list[str]:
    """Return the lines of the comparison of two finished runs."""
    one, (low, high) = found.result, found.result.interval
    claim = "differ" if one.p < LEVEL else "cannot be told apart"
    return [
        f"A  {_run_text(found.a)} · {found.networks[0]} network",
        f"B  {_run_text(found.b)} · {found.networks[1]} network",
        *(f"differs: {name}: A {a}, B {b}" for name, a, b in found.differences),
        f"test images: {one.images:,}; only A correct: {one.only_a:,}, only B: {one.only_b:,}",
        f"A minus B: {one.difference:+.2f} percentage points, 95 % bootstrap interval over images "
        f"{low:+.2f} to {high:+.2f}",
        f"exact McNemar test: p = {one.p:.2g}: these two networks {claim} at {100 * LEVEL:g} %.",
        "This is about two networks, not two methods: other seeds give other networks.",
    ]


def _run_text(record: Record) -> str:
    sparsity = percent(record["sparsity"]["asked"])
    return f"{record['method']} · {record['dataset']} · {sparsity} · seed {record['seed']}"
