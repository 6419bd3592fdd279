"""EAST and the other rows of its tables: the parts that the gin files build."""

import pytest
from helpers.tiny_runs import go, started, tiny_resnet

from dstbench.config.choices import Choices
from dstbench.config.registry import lookup
from dstbench.config.shipped_files import shipped
from dstbench.core.budgets import EPL, ERK
from dstbench.core.gradient_clip import GradientClip
from dstbench.core.method import Method
from dstbench.errors import UserError
from dstbench.methods.activation_freeze import ActivationFreeze
from dstbench.methods.activations import ActivationPhasing, Mish, PReLU, Swish
from dstbench.methods.cyclic import Cyclic
from dstbench.methods.dctps import DCTpS
from dstbench.methods.dyrelu import DyReLUInSharing, DyReLUPhasing
from dstbench.methods.dyrelu_variants import DyReLUA, DyReLUC
from dstbench.methods.east import EAST
from dstbench.methods.rigl import RigL
from dstbench.methods.set import SET
from dstbench.methods.weight_sharing import WeightSharing
from dstbench.training.configure import assemble

ROWS = {
    "dense": ("Dense", []),
    "static": ("Static", [ERK]),
    "set": ("SET", [ERK, SET]),
    "rigl": ("RigL", [ERK, RigL]),
    "rigl_clip": ("RigL w/ clip", [ERK, RigL, GradientClip]),
    "east": ("EAST", [WeightSharing, DyReLUPhasing, ERK, Cyclic, GradientClip]),
    "set_east": ("SET+EAST", [WeightSharing, DyReLUPhasing, ERK, Cyclic, GradientClip]),
    "east_no_cycle": (
        "EAST w/o cycle", [WeightSharing, DyReLUPhasing, ERK, RigL, GradientClip],
    ),
    "rigl_dyrelu": ("RigL w/ DyReLU", [DyReLUPhasing, ERK, RigL, GradientClip]),
    "rigl_ws": ("RigL w/ WS", [WeightSharing, ERK, RigL, GradientClip]),
    "rigl_ws_dyrelu": (
        "RigL w/ WS + DyReLU", [WeightSharing, DyReLUInSharing, ERK, RigL, GradientClip],
    ),
    "rigl_cyclic": ("RigL cyclic", [ERK, Cyclic, GradientClip]),
    "rigl_cyclic_growing": ("RigL cyclic growing", [ERK, Cyclic, GradientClip]),
    "rigl_cyclic_triangular": ("RigL cyclic triangular", [ERK, Cyclic, GradientClip]),
    "rigl_dyrelu_frozen": (
        "RigL w/ DyReLU frozen", [DyReLUPhasing, ActivationFreeze, ERK, RigL, GradientClip],
    ),
    "rigl_prelu": ("RigL w/ PReLU", [ActivationPhasing, ERK, RigL, GradientClip]),
    "rigl_swish": ("RigL w/ Swish", [ActivationPhasing, ERK, RigL, GradientClip]),
    "rigl_mish": ("RigL w/ Mish", [ActivationPhasing, ERK, RigL, GradientClip]),
    "rigl_dyrelu_a": ("RigL w/ DyReLU-A", [ActivationPhasing, ERK, RigL, GradientClip]),
    "rigl_dyrelu_c": ("RigL w/ DyReLU-C", [ActivationPhasing, ERK, RigL, GradientClip]),
    "dctps": ("DCTpS", [DCTpS, EPL]),
    "dctps_rigl": ("DCTpS+RigL", [DCTpS, EPL, RigL]),
    "dctps_rigl_east": ("DCTpS+RigL+EAST", [DCTpS, DyReLUPhasing, EPL, Cyclic, GradientClip]),
}  # fmt: skip
MOVERS = {
    "east": RigL, "set_east": SET, "rigl_cyclic": RigL, "rigl_cyclic_growing": RigL,
    "rigl_cyclic_triangular": RigL, "dctps_rigl_east": RigL,
}  # fmt: skip


def built(name, recipe=None, sparsity=0.95, sets=()):
    axes = () if name == "dense" else (("sparsity", sparsity),)
    choices = Choices((str(shipped("methods")[name]),), recipe, axes, sets)
    return assemble(choices, "fp32")[0].method


def part(method, kind):
    return next(p for p in method.parts if isinstance(p, kind))


@pytest.mark.parametrize("name", ROWS)
def test_method_file_has_its_parts(name):
    method = built(name)
    assert method.name == ROWS[name][0]
    assert [type(p) for p in method.parts] == ROWS[name][1]
    if name in MOVERS:
        assert type(part(method, Cyclic).mover) is MOVERS[name]
        assert part(method, Cyclic).sparsity == 0.95
    assert method.sparsity == (0.0 if name == "dense" else 0.95)


@pytest.mark.parametrize("name", [n for n in ROWS if n not in ("dense", "static")])
@pytest.mark.parametrize("recipe", [n for n in shipped("gin/recipes") if n.startswith("cifar10_")])
def test_method_file_passes_check_with_the_papers_recipes(name, recipe):
    """Every part has an effect in the recipe's number of steps."""
    steps = 250 * 352
    built(name, recipe).check(steps)


def test_east_has_the_papers_settings():
    method = built("east", "cifar10_resnet34", 0.999)
    cycle, phase = part(method, Cyclic), part(method, DyReLUPhasing)
    assert part(method, WeightSharing).owner == 2
    assert (phase.start, phase.end, phase.reduction, phase.blend) == (0.25, 0.495, 4, "outputs")
    assert (cycle.cycles, cycle.until, cycle.shape) == (2, 0.4, "cosine")
    assert cycle.lowest == pytest.approx(0.997) and cycle.update_schedule.interval == 1000
    assert cycle.mover.update_schedule.interval == 4000
    assert [cycle.mover.drop_fraction(p) for p in (0.0, 1.0)] == pytest.approx([0.5, 0.005])
    clip = part(method, GradientClip)
    assert (clip.norm, clip.over) == (1.0, "dense")


def test_growing_cycles_last_50_and_100_of_250_epochs():
    cycle = part(built("rigl_cyclic_growing", "cifar10_resnet34"), Cyclic)
    steps = 250 * 352
    assert (cycle.cycles, cycle.length_ratio) == (2, 2.0)
    assert cycle.final_structure_step(steps) == 150 * 352
    ends = [cycle.sparsity_at(epoch * 352, steps) for epoch in (0, 50, 150)]
    assert ends == pytest.approx([0.95] * 3)


@pytest.mark.parametrize(
    "name, kind",
    [("prelu", PReLU), ("swish", Swish), ("mish", Mish), ("dyrelu_a", DyReLUA),
     ("dyrelu_c", DyReLUC)],
)  # fmt: skip
def test_other_activations_are_phased_as_dyrelu_is(name, kind):
    phase = part(built(f"rigl_{name}", "cifar10_resnet34"), ActivationPhasing)
    reference = part(built("rigl_dyrelu", "cifar10_resnet34"), DyReLUPhasing)
    assert type(phase.activation) is kind
    assert (phase.start, phase.end) == (reference.start, reference.end)


def test_dctps_rigl_has_its_own_settings():
    method = built("dctps_rigl", "cifar10_dct")
    mover = part(method, RigL)
    assert (mover.update_schedule.interval, mover.update_schedule.until) == (100, 0.75)
    assert [mover.drop_fraction(p) for p in (0, 0.75, 1)] == pytest.approx([0.3, 0, 0])


def test_baselines_do_not_clip():
    for name in ("set", "rigl", "dctps_rigl", "static", "dense", "synflow"):
        assert not any(isinstance(p, GradientClip) for p in built(name).parts)


def test_single_trick_differs_from_rigl_with_clipping_by_one_part():
    alone = {"rigl_ws": WeightSharing, "rigl_dyrelu": DyReLUPhasing}
    for name, trick in alone.items():
        assert set(ROWS[name][1]) - set(ROWS["rigl_clip"][1]) == {trick}
        assert set(ROWS["rigl_clip"][1]) <= set(ROWS[name][1])


@pytest.mark.parametrize("name", ["east", "set_east"])
def test_east_clipping_can_be_omitted_and_changed(name):
    assert not any(
        isinstance(p, GradientClip) for p in built(name, sets=("EAST.clip = None",)).parts
    )
    changed = part(built(name, sets=("GradientClip.over = 'live'",)), GradientClip)
    assert changed.over == "live"


@pytest.mark.parametrize(
    "wrong", ["GradientClip.over = 'some'", "DyReLUPhasing.blend = 'x'", "Cyclic.shape = 'square'"]
)
def test_east_refuses_unknown_choices(wrong):
    with pytest.raises(UserError, match=wrong.split(" ")[0].replace(".", r"\.")):
        built("east", sets=(wrong,))


def test_east_sparsity_reaches_every_part():
    method = built("east", sparsity=0.97)
    assert {part(method, ERK).sparsity, part(method, Cyclic).sparsity, method.sparsity} == {0.97}


def test_east_is_a_method_of_its_parts():
    assert lookup("EAST") is EAST and issubclass(EAST, Method)
    sharing, activation, budget = WeightSharing(2), DyReLUPhasing(), ERK(0.8)
    topology = Cyclic(RigL(update_interval=2), 0.8, lowest=0.6)
    method = EAST(sharing, activation, budget, topology)
    assert method.parts == (sharing, activation, budget, topology) and method.name == "EAST"
    assert method.budget is budget and method.moves_masks and method.initialises_masks
    assert method.final_structure_step(1000) == 495  # DyReLU ends after the cycles


def test_east_refuses_a_dense_offset():
    with pytest.raises(UserError, match="prevent conflicts"):
        Method("X", [DCTpS(), *built("east").parts])


@pytest.mark.parametrize("name", ["east", "set_east", "east_no_cycle"])
def test_east_ends_sparse_plain_and_shared(name):
    steps = 40
    method = built(name, sparsity=0.9, sets=())
    method, state = started(tiny_resnet(depths=(1, 4)), method.parts, steps)
    asked, live = state.masks.total(), {}
    go(method, state, each=lambda s: live.__setitem__(s.step, s.masks.total()))
    method.finish(state)
    assert {live[step] for step in range(16, steps + 1)} == {asked}
    assert (max(live.values()) > 2 * asked) == (name != "east_no_cycle")
    kinds = {type(m).__name__ for m in state.model.modules()}
    assert "DyReLU" not in kinds and "SharedConv2d" in kinds and "ReLU" in kinds
