"""Times every form at every batch size, within a budget or until Ctrl-C."""

from collections.abc import Sequence

from torch import Tensor

from dstbench.measure.budget import Budget
from dstbench.measure.execution_forms import Form
from dstbench.measure.latency import Latency, Turns

INTERRUPTED = "interrupted"  # the reason of batch sizes that Ctrl-C left out


def time_batches(
    forms: Sequence[Form], examples: Sequence[Tensor], budget: Budget
) -> tuple[list[Latency], dict[str, str]]:
    """Return the latencies, and batch size → reason of those that were left out.

    The smallest batch size is timed in any case. Larger ones are left out where not even one call
    of every form fits into the time, or after Ctrl-C.

    examples: a batch of every size, ascending.

    Raises KeyboardInterrupt: on Ctrl-C before every form was timed at one batch size.
    """
    latencies: list[Latency] = []
    warm: list[Turns] = []
    not_timed: dict[str, str] = {}
    turns = None
    try:
        for x in examples:
            budget.show(f"warming up, batch {len(x)}")
            turns = Turns(forms, x)
            try:
                turns.warm_up(lambda: _check(budget, warm))
            except TimeoutError as error:
                not_timed |= {str(len(y)): str(error) for y in examples[len(warm) :]}
                break
            warm.append(turns)
        while len(warm) > 1 and budget.repeats is None:
            if sum(t.once for t in warm) <= budget.left():
                break
            not_timed[str(warm.pop().batch)] = _too_long(budget)
        for number, turns in enumerate(warm):
            later = warm[number + 1 :]
            spare = budget.left() - sum(t.once for t in (turns, *later))
            seconds = turns.once + max(0.0, spare) / (len(later) + 1)
            repeats = budget.repeats or turns.calls_within(seconds)
            budget.show(f"batch {turns.batch}: {len(forms)} forms, {repeats} calls each")
            turns.run(repeats)
            latencies += turns.latencies()
    except KeyboardInterrupt:
        done = {latency.batch for latency in latencies}
        if turns is not None and turns.batch not in done:
            latencies += turns.latencies()
            done |= {latency.batch for latency in latencies}
        if not latencies:
            raise
        not_timed |= {str(len(x)): INTERRUPTED for x in examples if len(x) not in done}
    return latencies, dict(sorted(not_timed.items(), key=lambda item: int(item[0])))


def _check(budget: Budget, warm: Sequence[Turns]) -> None:
    """Raise TimeoutError when what is left of the time is needed for the batches that are warm."""
    if warm and budget.repeats is None and budget.left() < sum(t.once for t in warm):
        raise TimeoutError(_too_long(budget))


def _too_long(budget: Budget) -> str:
    return (
        f"its calls do not fit into --seconds {budget.seconds:g}; "
        f"--seconds {3 * budget.seconds:g} allows more"
    )
