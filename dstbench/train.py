"""The training loop: one screen, the same for every method, knowing none of them by name.

Nothing in a step reads a number back from the device; losses and counts add up there, in the
State's memory, until the epoch ends.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dstbench.part import Part, State
from dstbench.portions import Stream

Autocast = Callable[[], torch.autocast]
Total = Callable[[Sequence[float]], Sequence[float]]  # sums here → sums over all processes
METERS = ("train/loss", "train/correct", "train/images", "train/not_finite")
TOP = 5  # of so many highest logits, where there are more than twice as many classes


class Diverged(Exception):
    """The loss became NaN or infinite."""


class Scores(NamedTuple):
    """What a network scores on some images: shares in percent, and the mean loss.

    top5: images whose class is among the five highest logits; None for ten classes or fewer.
    """

    accuracy: float
    loss: float
    top5: float | None


def autocast_for(precision: str, device: torch.device) -> Autocast:
    """The context in which networks run: bfloat16 autocast, or nothing for fp32."""
    return lambda: torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def train(
    state: State,
    method: Part,
    batches: Stream,
    rate_at: Callable[[float], float],
    autocast: Autocast,
    after_epoch: Callable[[State], None],
    after_step: Callable[[State], None],
) -> None:
    """Run the steps that are left.

    rate_at: progress → learning rate. after_epoch, after_step: what the run does in between
    (measuring, reporting, checkpoints); `after_step` may raise to stop between two steps.
    """
    model, optimizer = state.model, state.optimizer
    assert optimizer is not None
    model.train()
    while state.step < state.total_steps:
        x, y = batches.at(state.step)
        method.before_step(state)
        with autocast():
            logits = model(x)
        loss = cross_entropy(logits.float(), y)
        optimizer.zero_grad()
        loss.backward()  # gradients are dense
        method.after_backward(state)
        optimizer.step(rate_at(state.progress))  # dead weights and their state stay 0
        state.step += 1
        method.after_step(state)
        add_to_meters_(state.memory, loss, logits, y)
        if state.step % batches.steps_per_epoch == 0:
            after_epoch(state)
            model.train()
        after_step(state)


@torch.no_grad()
def add_to_meters_(memory: dict[str, Tensor], loss: Tensor, logits: Tensor, y: Tensor) -> None:
    """Add one batch to the epoch's sums, on the device."""
    if "train/loss" not in memory:
        for name in METERS:
            memory[name] = torch.zeros((), device=loss.device, dtype=torch.float64)
    memory["train/loss"] += loss.detach() * len(y)
    memory["train/correct"] += (logits.argmax(1) == y).sum()
    memory["train/images"] += len(y)
    memory["train/not_finite"] += ~torch.isfinite(loss)


def read_meters_(memory: dict[str, Tensor]) -> dict[str, float]:
    """The epoch's mean loss and accuracy (percent); the sums start again from zero."""
    images = float(memory["train/images"])
    result = {
        "train_loss": float(memory["train/loss"]) / images,
        "train_accuracy": 100 * float(memory["train/correct"]) / images,
    }
    clear_meters_(memory)
    return result


def clear_meters_(memory: dict[str, Tensor]) -> None:
    """Start the epoch's sums again from zero; a loss that was not finite stays noted."""
    for name in ("train/loss", "train/correct", "train/images"):
        memory[name].zero_()


def pool_meters_(memory: dict[str, Tensor], total: Total) -> None:
    """Make the sums those of all processes."""
    if "train/loss" in memory:
        sums = total([float(memory[name]) for name in METERS])
        for name, value in zip(METERS, sums, strict=True):
            memory[name].fill_(value)


def refuse_divergence(state: State) -> None:
    """Raise Diverged if any loss since the start was not finite. Reads one number back."""
    if "train/not_finite" in state.memory and float(state.memory["train/not_finite"]) > 0:
        raise Diverged(f"the loss is NaN or infinite at step {state.step}")


@torch.no_grad()
def evaluate(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    autocast: Autocast,
    total: Total = lambda sums: sums,
) -> Scores:
    """Scores on the batches, and on those that other processes have, in eval mode."""
    was_training = model.training
    model.eval()
    correct, among, loss, images, ranked = 0.0, 0.0, 0.0, 0, False
    for x, y in batches:
        with autocast():
            logits = model(x)
        ranked = logits.shape[1] > 2 * TOP
        loss += float(cross_entropy(logits.float(), y, reduction="sum"))
        correct += float((logits.argmax(1) == y).sum())
        if ranked:
            among += float((logits.topk(TOP).indices == y[:, None]).sum())
        images += len(y)
    model.train(was_training)
    correct, among, loss, count = total((correct, among, loss, images))
    return Scores(100 * correct / count, loss / count, 100 * among / count if ranked else None)
