"""The training loop: the same for every method and every engine, naming none of them.

Nothing in a step reads a number back from the device; losses and counts add up there, in the
State's memory, until the epoch ends.
"""

from collections.abc import Callable

from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.data.batch_plan import BatchStream
from dstbench.training.engines.engine import Engine
from dstbench.training.epoch_meters import Meters


def train(
    state: State,
    method: Part,
    engine: Engine,
    batches: BatchStream,
    rate_at: Callable[[float], float],
    after_epoch: Callable[[State], None],
    after_step: Callable[[State], None],
) -> None:
    """Run the remaining optimizer steps.

    state: the run's State, with its optimizer.
    method: its hooks are called around every step.
    engine: computes losses and gradients of `state.model`.
    batches: step → the training batch.
    rate_at: progress in [0, 1] → learning rate.
    after_epoch: called after an epoch's last step (measurements).
    after_step: called after every step (reports, checkpoints); may raise to stop between two steps.
    """
    optimizer = state.optimizer
    assert optimizer is not None
    meters = Meters(state.memory)
    state.model.train()
    while state.step < state.total_steps:
        images, labels = batches.at(state.step)
        method.before_step(state)
        optimizer.zero_grad()
        dense = optimizer.needs_dense_gradients or method.requires_dense_gradients(
            state.step + 1, state.total_steps
        )
        loss, logits = engine.forward_backward(images, labels, dense)
        method.after_backward(state)
        optimizer.step(rate_at(state.progress))  # dead weights and their state stay 0
        state.step += 1
        method.after_step(state)
        meters.add_(loss, logits, labels)
        if state.step % batches.plan.steps_per_epoch == 0:
            after_epoch(state)
            state.model.train()
        after_step(state)
