"""Every shipped method passes the conformance suite; methods that break a promise fail it."""

import ast
import re
from pathlib import Path

import pytest

from dstbench.config.gin_file import read_file, skip_import
from dstbench.config.shipped_files import shipped
from dstbench.config.suite_methods import parts_of
from dstbench.conformance import checks
from dstbench.conformance.checks import CHECKS, ConformanceError
from dstbench.conformance.suite import run_checks
from dstbench.conformance.trial import OPTIMIZERS, Trial
from dstbench.errors import UserError

METHODS = shipped("methods")
# Methods that together have every part; with SGD all methods are checked.
EVERY_PART = (
    "dctps_rigl_east", "east", "rigl_ws_dyrelu", "set", "synflow", "live_rigl", "live_set",
    "npb", "phew", "repaired_rigl", "small_dense", "synflow_random", "snip_rigl", "force",
    "iterative_snip", "grasp", "magnitude_at_init", "static_igq", "dsr", "snfs", "mest",
    "mest_soft", "unfired", "srigl", "top_kast", "rigl_dyrelu_c", "rigl_dyrelu_frozen",
    "gmp_ws", "acdc_uniform", "granet_sparse", "imp",
)  # fmt: skip
TRIALS = [(name, "SGD") for name in METHODS] + [
    (name, optimizer) for name in EVERY_PART for optimizer in OPTIMIZERS if optimizer != "SGD"
]


def test_methods_for_all_optimizers_have_every_part():
    parts = {
        name: parts_of({str(b): b.value for b in read_file(path, skip_import)})
        for name, path in METHODS.items()
    }
    every = {part for given in parts.values() for part in given}
    assert every == {part for name in EVERY_PART for part in parts[name]}


@pytest.mark.slow
@pytest.mark.parametrize(("method", "optimizer"), TRIALS)
def test_method_keeps_every_promise(method, optimizer):
    results = list(run_checks(str(METHODS[method]), optimizers=(optimizer,)))
    assert len(results) == len(CHECKS) and not [one for one in results if not one.passed]


@pytest.fixture
def greedy(tmp_path):
    """The gin file and the plug-in of a method that grows and keeps state in its part."""
    (tmp_path / "greedy.py").write_text(
        '''
import torch
from dstbench import Part, register


@register("parts")
class Greedy(Part):
    """Adds a live weight at every step, and counts the steps outside the State."""

    moves_masks = True

    def __init__(self):
        self.seen = 0

    def after_step(self, state):
        self.seen += 1
        name = next(iter(state.masks))
        free = (~state.masks[name]).permute(0, 2, 3, 1).reshape(-1).nonzero().view(-1)[:1]
        state.set_live_(name, torch.cat([state.masks.index(name), free]))
'''
    )
    (tmp_path / "greedy.gin").write_text(
        "Run.method = @Method()\nMethod.name = 'Greedy'\n"
        "Method.parts = [@ERK(), @Greedy()]\nERK.sparsity = %sparsity\n"
    )
    return tmp_path / "greedy.gin", tmp_path / "greedy.py"


@pytest.mark.slow
def test_run_checks_reports_each_broken_promise(greedy):
    checked = run_checks(str(greedy[0]), (greedy[1],), ("SGD", "Adam"))
    results = {one.name: one for one in checked}
    assert not results["the budget is exact (SGD)"].passed
    assert "asked" in results["the budget is exact (SGD)"].detail
    assert not results["parts hold settings only (Adam)"].passed
    assert results["the same seed gives the same run (SGD)"].passed


# --- each check fails for a method that breaks its promise ----------------------------------------

HEAD = """
import torch
from torch import nn

from dstbench import DropGrow, Part, gradient_of, register
from dstbench.core.schedules import Cosine

"""
GROWS = """
@register("parts")
class {name}(DropGrow):
    def grow_score(self, state, tensor):
        weight = state.masks.parameters[tensor]
        return {score}
"""
KEEPS = """
class Inner(Part):
    def __init__(self):
        self.schedule = Cosine(0.3)

@register("parts")
class {name}(Part):
    seen = []

    def __init__(self):
        self.inner, self.tensor, self.names = Inner(), torch.zeros(3), {{"a"}}
        self.calls, self.rng, self.deep = 0, torch.Generator(), {{"a": [nn.Linear(2, 2)]}}

    def {hook}(self, state):
        {does}
"""


@pytest.fixture
def failure(tmp_path):
    """Runs one check on a method of one class; returns its message, or None if it passed."""

    def run(check, name, source):
        (tmp_path / "mine.py").write_text(HEAD + source)
        settings = f"{name}.updates_per_run = 10\n" if "DropGrow)" in source else ""
        (tmp_path / "mine.gin").write_text(
            f"Run.method = @Method()\nMethod.name = 'Mine'\nMethod.parts = [@ERK(), @{name}()]\n"
            f"ERK.sparsity = %sparsity\n{settings}"
        )
        try:
            CHECKS[check](Trial(str(tmp_path / "mine.gin"), (tmp_path / "mine.py",)), "SGD")
        except (ConformanceError, UserError) as error:
            return str(error)
        return None

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "score", "message"),
    [
        ("InMemoryOrder", "gradient_of(weight).abs()", None),
        ("AtRandom", "torch.rand(weight.numel(), generator=state.rng)", None),
        ("RowOrder", "weight.grad.abs().reshape(-1)", "conv1.weight: other weights grow"),
        ("Columns", "weight.grad.abs().transpose(0, 1).reshape(-1)", "other weights grow"),
    ],
)
def test_layout_check_finds_scores_in_another_order(failure, name, score, message):
    found = failure("masks move identically in every memory layout", name, GROWS.format(**locals()))
    assert found is None if message is None else message in found


@pytest.mark.parametrize(
    ("name", "score", "message"),
    [
        ("Fine", "gradient_of(weight).abs()", None),
        ("Alike", "None", None),
        ("Negative", "gradient_of(weight)", "is negative or NaN at"),
        ("NotANumber", "gradient_of(weight).abs() * torch.nan", "is negative or NaN at"),
        ("Shaped", "weight.grad.abs()", "has shape"),
    ],
)
def test_score_check_finds_invalid_scores(failure, name, score, message):
    found = failure("growth scores are numbers, zero or more", name, GROWS.format(**locals()))
    assert found is None if message is None else message in found


ANSWERS = """
@register("parts")
class {name}(Part):
    def {hook}(self, *given):
        {does}
"""


@pytest.mark.parametrize(
    ("hook", "does", "message"),
    [
        ("needs_dense_gradients", "return given[0] % 2 == 0", None),
        ("needs_dense_gradients", "given[0] % 2 == 0", "returns None, not True or False"),
        ("requires_dense_gradients", "return 1", "returns 1, not True or False"),
        ("extra_training_macs", "return 7", None),
        ("extra_training_macs", "return 0.5", "returns 0.5, not a whole number"),
        ("extra_training_macs", "return -1", "returns -1, not a whole number, zero or more"),
        ("final_structure_step", "return True", "returns True, not a whole number"),
        ("notes", "return ['one', 'two']", None),
        ("notes", "return 'one'", "returns 'one', not a list of texts"),
        ("notes", "return [1]", "returns [1], not a list of texts"),
        ("lr_schedule", "return given[0]", None),
        ("lr_schedule", "return given[0](0)", "returns 0.1, not a function"),
        ("lr_schedule", "return lambda progress: torch.nan", "not a function of progress to a"),
    ],
)
def test_return_check_finds_hooks_with_another_kind_of_answer(failure, hook, does, message):
    name = re.sub(r"\W+", "_", f"Answers_{hook}_{does}")
    found = failure("hooks return what they should", name, ANSWERS.format(**locals()))
    assert found is None if message is None else message in found


@pytest.mark.parametrize(
    ("hook", "does", "message"),
    [
        ("after_step", "pass", None),
        ("after_step", "state.memory['mine'] = self.tensor + 1", None),
        ("after_step", "self.calls += 1", ".calls"),
        ("after_step", "self.new = 1", ".new"),
        ("after_step", "self.tensor[1] += 1", ".tensor"),
        ("before_step", "self.names.add('b')", ".names"),
        ("after_backward", "self.inner.schedule.start = 0.2", ".inner.schedule.start"),
        ("after_backward", "self.seen.append(1)", ".seen"),
        ("after_step", "torch.rand(1, generator=self.rng)", ".rng"),
        ("after_step", "nn.init.ones_(self.deep['a'][0].bias)", "['a'][0]._parameters['bias']"),
        ("surgery", "self.model = state.model", ".model"),
        ("finish", "del self.names", ".names"),
    ],
)  # fmt: skip
def test_settings_check_finds_parts_that_change(failure, hook, does, message):
    name = re.sub(r"\W+", "_", f"Keeps_{hook}_{does}")
    found = failure("parts hold settings only", name, KEEPS.format(**locals()))
    assert found is None if message is None else message in found


@pytest.mark.parametrize(
    ("hook", "message"),
    [
        ("after_step", None),
        (
            "after_stpe",
            "after_stpe is no hook, so nothing calls it: rename it after_step",
        ),
        ("init_mask", "rename it init_masks"),
        ("wander", None),
    ],
)
def test_name_check_finds_misspelled_hooks(failure, hook, message):
    source = ANSWERS.format(name=f"Names_{hook}", hook=hook, does="pass")
    found = failure("hooks have their names", f"Names_{hook}", source)
    assert found is None if message is None else message in found


ENDS = """
@register("parts")
class {name}(Part):
    def surgery(self, state):
        state.model.more = nn.Linear(1, 1)
        state.model.more.training_only = {left}

    def finish(self, state):
        {does}
"""


@pytest.mark.parametrize(
    ("does", "left", "message"),
    [
        ("del state.model.more", True, None),
        ("pass", True, "modules with training_only = True are left"),
        ("state.model = nn.Sequential(state.model)", False, "replaced state.model"),
        ("next(iter(state.masks.parameters.values())).data += 1", False, "after the method's fin"),
    ],
)
def test_dead_weight_check_sees_how_a_method_finishes(failure, does, left, message):
    name = re.sub(r"\W+", "_", f"Ends_{does}_{left}")
    found = failure("dead weights are zero", name, ENDS.format(**locals()))
    assert found is None if message is None else message in found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "does", "message"),
    [
        ("Remembers", "state.memory['mine'] = torch.tensor(state.step)", None),
        ("Forgets", "state.memory['mine'] = torch.tensor(self.calls); self.calls += 1",
         "memory['mine'] differs"),
        ("DrawsOnce", "self.calls or torch.rand(1, generator=state.rng); self.calls += 1",
         "rng differs"),
        ("Pushes", "self.calls or state.optimizer.vectors['momentum'].add_(0 * state.step + 1e-3);"
         " self.calls += 1", "differs"),
    ],
)  # fmt: skip
def test_resume_check_finds_runs_that_differ(failure, name, does, message):
    source = KEEPS.format(name=name, hook="after_step", does=does)
    found = failure("resuming is exact", name, source)
    assert found is None if message is None else message in found


DATA_METHODS = '''
import copy

import torch
from torch.nn import functional as F
from dstbench import Part, flat, register
from dstbench.core.selection import largest
from dstbench.sparsity import live_total


@register("parts")
class SnipLike(Part):
    """Keeps the weights of the largest |weight · gradient| of two batches."""

    def __init__(self, sparsity: float):
        self.sparsity = sparsity

    def init_masks(self, state):
        model = copy.deepcopy(state.model).train()
        for _ in range(2):
            images, labels = state.next_batch()
            F.cross_entropy(model(images), labels).backward()
        weights = [model.get_parameter(name) for name in state.masks.parameters]
        scores = [flat(w.detach() * w.grad).abs() for w in weights]
        chosen = largest(torch.cat(scores), live_total(self.sparsity, state.dense_numel), state.rng)
        first = 0
        for name, score in zip(state.masks.parameters, scores):
            here = chosen[(chosen >= first) & (chosen < first + len(score))] - first
            state.set_live_(name, here)
            first += len(score)


@register("parts")
class OneShotLate(Part):
    """All weights live for half of the run, then the largest."""

    moves_masks, dense_to_sparse = True, True

    def __init__(self, sparsity: float):
        self.sparsity = sparsity

    def init_masks(self, state):
        for name, weight in state.masks.parameters.items():
            state.set_live_(name, torch.arange(weight.numel()))

    def total(self, state):
        return live_total(self.sparsity, state.dense_numel)

    def final_structure_step(self, total_steps):
        return total_steps // 2

    def after_step(self, state):
        if state.step != state.total_steps // 2:
            return
        total, left = self.total(state), state.dense_numel
        for name, weight in state.masks.parameters.items():
            k = total * weight.numel() // left
            total, left = total - k, left - weight.numel()
            state.set_live_(name, largest(flat(weight.detach()).abs(), k, state.rng))


@register("parts")
class MissesBudget(OneShotLate):
    def total(self, state):
        return 9
'''


@pytest.fixture(scope="module")
def data_methods(tmp_path_factory):
    """A function: name of a part → its gin file, and the plugin."""
    folder = tmp_path_factory.mktemp("data_methods")
    (folder / "parts.py").write_text(DATA_METHODS)

    def file(part):
        path = folder / f"{part}.gin"
        path.write_text(
            f"Run.method = @Method()\nMethod.name = '{part}'\nMethod.parts = [@{part}()]\n"
            f"{part}.sparsity = %sparsity\n"
        )
        return str(path), (folder / "parts.py",)

    return file


@pytest.mark.slow
@pytest.mark.parametrize("check", ["the budget is exact", "the same seed gives the same run"])
@pytest.mark.parametrize("part", ["SnipLike", "OneShotLate"])
def test_method_that_sees_data_or_ends_sparse_passes(part, check, data_methods):
    CHECKS[check](Trial(*data_methods(part)), "SGD")


def test_first_masks_depend_on_the_images_and_not_on_the_training_batches(data_methods):
    trial = Trial(*data_methods("SnipLike"))
    _, batches, state = trial.start()
    assert state.batches is None
    plain = Trial(str(shipped("methods")["static"])).start()[1]
    assert (batches.at(3)[0] == plain.at(3)[0]).all()


@pytest.mark.slow
def test_dense_to_sparse_method_that_misses_its_budget_fails(data_methods):
    with pytest.raises(ConformanceError, match="ends with 9 live"):
        CHECKS["the budget is exact"](Trial(*data_methods("MissesBudget")), "SGD")


@pytest.mark.slow
def test_check_command_fails_for_a_broken_promise(data_methods, call, monkeypatch):
    file, plugins = data_methods("MissesBudget")
    for name in [*CHECKS][1:]:
        monkeypatch.delitem(CHECKS, name)
    code, out, _ = call("check", file, "--plugin", str(plugins[0]))
    assert code == 1 and "FAILED  the budget is exact (SGD)" in out


def test_no_check_is_an_assert_statement():
    """`python -O` removes those."""
    files = list(Path(checks.__file__).parent.glob("*.py"))
    assert Path(checks.__file__) in files
    for file in files:
        found = [n.lineno for n in ast.walk(ast.parse(file.read_text())) if type(n) is ast.Assert]
        assert not found, file


def test_cost_of_a_method_that_needs_images_is_refused(data_methods, call):
    file, plugins = data_methods("SnipLike")
    code, _, errors = call("cost", file, "--plugin", str(plugins[0]))
    assert code == 2 and "chooses its first masks from training images" in errors


def test_run_of_a_method_that_needs_images_trains(data_methods, call, tmp_path):
    file, plugins = data_methods("SnipLike")
    code, out, errors = call(
        "run", file, "--plugin", str(plugins[0]), "--set", "Run.epochs=1", "--set",
        "ResNet20.width=4", "--set", "Run.train_images=200", "--tracking", "off", "--quiet",
        "--runs", str(tmp_path / "runs"), "--device", "cpu",
    )  # fmt: skip
    assert code == 0, errors
    assert "measured 90 %" in out
