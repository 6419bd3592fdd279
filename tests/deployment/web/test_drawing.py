"""The drawing has every weight once, and its lines lead forward."""

import numpy as np
import pytest
from helpers.deploy_networks import random_net

from dstbench.deployment.compiler.compile import compile_network
from dstbench.deployment.runtime.program import Kind
from dstbench.deployment.web.drawing import drawing

NETWORKS = {
    "residual": {},
    "shared": {"shared": True},
    "maxima": {"pool": "max"},
    "means": {"pool": "mean"},
    "flat": {"head": "flat"},
}


@pytest.fixture(params=NETWORKS)
def program(request):
    return compile_network(random_net(1, **NETWORKS[request.param]), (3, 9, 7))


def test_every_weight_is_on_one_line(program):
    drawn = drawing(program)
    stored = program.weight != 0
    assert drawn.number.sum() == stored.sum() > 0
    sizes = np.abs(program.coefficients()[stored]).sum()
    assert drawn.size.sum() == pytest.approx(sizes, rel=1e-5)
    assert (np.abs(drawn.weight) <= drawn.size + 1e-12).all()


def test_lines_lead_to_later_columns(program):
    drawn = drawing(program)
    assert (drawn.column[drawn.start] < drawn.column[drawn.end]).all()


def test_image_is_first_and_logits_are_last(program):
    drawn = drawing(program)
    assert drawn.plane[:3].tolist() == [0, 1, 2]
    assert (drawn.column[:3] == 0).all()
    logits = np.arange(len(program.kind))[-program.classes :] + program.sources
    assert drawn.plane[-program.classes :].tolist() == logits.tolist()
    assert (drawn.column == drawn.column.max()).sum() == program.classes
    assert (np.diff(drawn.place[-program.classes :]) > 0).all()


def test_columns_have_planes_of_one_size_and_distinct_places(program):
    drawn = drawing(program)
    sizes = program.sizes()[drawn.plane]
    for column in range(drawn.column.max() + 1):
        dots = drawn.column == column
        assert len(np.unique(sizes[dots], axis=0)) == 1
        assert len(np.unique(drawn.place[dots])) == dots.sum()
    assert drawn.place.min() > 0 and drawn.place.max() < 1


def test_samples_and_constants_are_no_dots(program):
    drawn = drawing(program)
    computed = drawn.plane[drawn.plane >= program.sources] - program.sources
    assert not (program.kind[computed] == Kind.SAMPLE).any()
    constants = range(3, program.sources)
    assert not np.isin(drawn.plane, constants).any()
