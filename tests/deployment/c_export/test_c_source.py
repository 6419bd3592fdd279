"""The C of a network computes the logits of numba's interpreter."""

import ctypes
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from helpers.c_networks import build, described, int8_of, library, random_bytes
from helpers.deploy_networks import IMAGE, noise, random_net
from helpers.mutated_networks import mutated

from dstbench.deployment.c_export.c_source import TOLERANCE, c_source
from dstbench.deployment.c_export.calibration import Float32
from dstbench.deployment.c_export.plan import plan_of
from dstbench.deployment.c_export.simulation import simulate
from dstbench.deployment.compiler.compile import compile_network
from dstbench.deployment.runtime.network import Network
from dstbench.deployment.runtime.program import Kind
from dstbench.deployment.runtime.program_check import InvalidProgram
from dstbench.deployment.runtime.program_file import read, write_bytes
from dstbench.deployment.verify import relative_error
from dstbench.errors import UserError

NETS = [
    {},
    {"head": "flat", "pool": "max", "bias": False},
    {"shared": True, "pool": "ceil", "sparsity": 0.95},
    {"size": 5, "pool": "mean", "strides": (2,), "sparsity": 0.0},
    {"size": 1, "sparsity": 1.0},
    {"image": (1, 1, 1), "sparsity": 0.0},
    {"image": (2, 5, 11), "strides": (2, 1, 2), "head": "flat", "sparsity": 0.5},
]


def compiled(seed=0, **options):
    image = options.get("image", IMAGE)
    return compile_network(random_net(seed, **options), image, described(image[0]))


@pytest.mark.parametrize("options", NETS, ids=str)
def test_c_has_the_logits_of_the_interpreter(options):
    program = compiled(**options)
    network = Network(program, 1)
    with library(c_source(program)) as c:
        images = noise(4, program.image_shape).numpy()
        for given in (images, random_bytes(4, program.image_shape)):
            error = relative_error(c.logits(given, program.classes), network(given))
            assert error <= TOLERANCE


def test_networks_of_these_tests_have_operations_of_every_kind():
    kinds = {kind for options in NETS for kind in compiled(**options).kind.tolist()}
    assert kinds == set(map(int, Kind))
    assert any(len(compiled(**options).constants) for options in NETS)


@pytest.mark.parametrize("least", [3, pytest.param(40, marks=pytest.mark.slow)])
def test_c_of_programs_that_no_network_has(tmp_path, least):
    """Random programs: shifts with clips outside a plane, samples of odd strides, and the like."""
    contents = [write_bytes(compiled(seed, **NETS[seed % 4])) for seed in range(4)]
    path, compared = tmp_path / "network.dst", 0
    for seed in range(40 * least):
        path.write_bytes(mutated(contents[seed % 4], seed))
        try:
            program = read(path)
            network = Network(program, 1)
            given = noise(1, program.image_shape).numpy()
            expected = network(given)
        except (UserError, InvalidProgram):
            continue
        if program.about.get("mean") is None or program.about.get("std") is None:
            continue
        if program.sizes().prod(1).max() > 10_000 or not np.isfinite(expected).all():
            continue
        with library(c_source(program)) as c:
            logits = c.logits(given, program.classes)
        scale = max(float(np.abs(expected).max()), 1e-3)
        assert np.abs(logits - expected).max() <= TOLERANCE * scale, seed
        compared += 1
        if compared == least:
            return
    pytest.fail(f"only {compared} programs were accepted")


def test_nan_in_an_image_is_nan_in_the_logits_as_in_the_interpreter():
    program = compiled(pool="max", sparsity=0.3)
    images = noise(1).numpy()
    images[0, 1, 4, 3] = np.nan
    expected = Network(program, 1)(images)
    with library(c_source(program)) as c:
        assert np.isnan(expected).any()
        logits = c.logits(images, program.classes)
    assert (np.isnan(logits) == np.isnan(expected)).all()


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("int8", [False, True], ids=["float32", "int8"])
def test_self_test_passes_without_warnings_and_fails_for_other_logits(tmp_path, compiler, int8):
    program = compiled(pool="max", head="flat")
    source = int8_of(program, noise(32).numpy())[2] if int8 else c_source(program)
    done = subprocess.run([build(source, tmp_path, compiler, "-DDST_OBSERVE")], capture_output=True)
    assert done.returncode == 0, done.stdout
    assert "1664525u" in source.source
    other_images = replace(source, source=source.source.replace("1664525u", "1664527u"))
    done = subprocess.run([build(other_images, tmp_path, compiler)], capture_output=True)
    assert done.returncode == 1


def test_activity_is_the_mean_absolute_value_of_each_operation_in_the_programs_order():
    program = compiled(shared=True)
    images = noise(1).numpy().clip(-0.75, 1.75)  # what bytes can be
    expected = np.zeros(len(program.kind))
    for plane, pixels in simulate(program, plan_of(program).order, Float32(program, images)):
        if plane >= program.sources:
            expected[plane - program.sources] = np.abs(pixels).mean()
    for source, close in ((c_source(program), 1e-5), (int8_of(program, images)[2], 0.02)):
        with library(source, "DST_OBSERVE") as c:
            c.logits(images, program.classes)
            activity = (ctypes.c_float * len(expected)).in_dll(c.library, "dst_activity")
            assert np.corrcoef(np.array(activity), expected)[0, 1] > 1 - close
            assert np.median(np.abs(np.array(activity) - expected)) <= close * expected.max()


def test_names_of_classes_survive(tmp_path):
    names = ['"quoted" \\ ??/', "Zürich\n", "0"]
    model = random_net(0)
    program = compile_network(model, IMAGE, described() | {"classes": names})
    with library(c_source(program)) as c:
        found = (ctypes.c_char_p * 3).in_dll(c.library, "dst_classes")
        assert [name.decode() for name in found] == names


def test_c_without_mean_is_refused():
    with pytest.raises(UserError, match="without a mean"):
        c_source(compile_network(random_net(0), IMAGE))
