"""Measures what sparsity adds to a training step of ResNet-34: the optimizer, and one RigL update.

The optimizer is compared with torch's fused SGD (momentum, Nesterov) or Adam on all parameters
without masks, the update with two full sorts per layer. Prints the ratios; goals: optimizer and
masks take at most 0.5 of dense fused SGD, an update is at least 40 times faster than full sorts and
chooses the same weights.

    python benchmarks/masks.py [--sparsity 0.9995] [--repeats 15]
"""

import argparse

import torch
from timing import interleaved, machine
from torch import Tensor

from dstbench.core.budgets import ERK
from dstbench.core.masks import flat
from dstbench.core.state import State
from dstbench.methods.rigl import RigL
from dstbench.models.resnet import ResNet34
from dstbench.optim.settings import SGD, Adam


def sparse_state(sparsity: float) -> State:
    """Return the State of a ResNet-34 for ten classes with ERK masks and random gradients."""
    torch.manual_seed(0)
    model = ResNet34(num_classes=10).to(memory_format=torch.channels_last)
    state = State(model, (3, 32, 32), seed=0, total_steps=1000)
    state.budget = ERK(sparsity)
    state.budget.init_masks(state)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    return state


def update_by_sorting(state: State, fraction: float) -> dict[str, Tensor]:
    """Return the live weights that full sorts of every layer choose.

    fraction: the drop fraction α.
    Result: tensor name → sorted flat indices in storage order.
    """
    chosen = {}
    for name, mask in state.masks.items():
        weight = flat(state.masks.parameters[name])
        live = state.masks.live(name)
        swap = max(0, min(-int(-fraction * live // 1), live - 1))
        magnitude = torch.where(flat(mask), weight.abs(), -1.0)
        kept = magnitude.sort(descending=True, stable=True).indices[: live - swap]
        gradient = flat(state.masks.parameters[name].grad).abs()
        gradient[kept] = -1.0
        grown = gradient.sort(descending=True, stable=True).indices[:swap]
        chosen[name] = torch.cat([kept, grown]).sort().values
    return chosen


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sparsity", type=float, default=0.9995)
    options.add_argument("--repeats", type=int, default=15)
    args = options.parse_args()
    print(machine())
    state = sparse_state(args.sparsity)
    for settings, dense in (
        (SGD(), torch.optim.SGD(state.model.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4,
                                nesterov=True, fused=True)),
        (Adam(), torch.optim.Adam(state.model.parameters(), lr=1e-4, fused=True)),
    ):  # fmt: skip
        ours = settings.build(state.model, state.masks)
        seconds = interleaved(args.repeats, ours=lambda o=ours: o.step(1e-4), dense=dense.step)
        name = type(settings).__name__
        print(
            f"{name}: live-only {1e3 * seconds['ours']:.2f} ms, dense fused "
            f"{1e3 * seconds['dense']:.2f} ms, ratio {seconds['ours'] / seconds['dense']:.3f}"
        )

    state = sparse_state(args.sparsity)  # the dense steps above changed dead weights
    rigl = RigL(update_interval=1)
    expected = update_by_sorting(state, 0.3)
    rigl.update(state, 0.3)
    same = all(torch.equal(expected[n], state.masks.index(n)) for n in state.masks)
    seconds = interleaved(
        max(3, args.repeats // 3),
        ours=lambda: rigl.update(state, 0.3),
        sorts=lambda: update_by_sorting(state, 0.3),
    )
    print(
        f"RigL update: ours {1e3 * seconds['ours']:.1f} ms, full sorts "
        f"{1e3 * seconds['sorts']:.0f} ms, {seconds['sorts'] / seconds['ours']:.0f} times faster, "
        f"same weights chosen: {same}"
    )


if __name__ == "__main__":
    main()
