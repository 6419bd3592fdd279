"""The names of the suite's methods are for their own parts."""

import pytest

from dstbench.config.choices import Choices
from dstbench.config.registry import lookup, names
from dstbench.config.resolved_text import read_resolved
from dstbench.config.shipped_files import shipped
from dstbench.config.suite_methods import (
    classes_in,
    classes_with,
    module_of,
    other_parts,
    suite_parts,
)
from dstbench.training.configure import assemble


@pytest.mark.parametrize("method", shipped("methods"))
def test_suite_methods_have_their_own_parts(method):
    resolved = assemble(Choices((f"methods/{method}.gin",)), "fp32")[1]
    bindings = read_resolved(resolved.text).bindings
    assert other_parts(bindings) is None
    assert suite_parts()[read_resolved(resolved.text).method]


@pytest.mark.parametrize(
    "method, sets",
    [
        ("east", ("Method.name='EAST'", "Run.method=@Method()", "Method.parts=[@ERK()]")),
        ("east", ("EAST.clip=None",)),
        ("rigl", ("Method.parts=[@ERK()]",)),
        ("rigl", ("Method.parts=[@RigL(), @ERK()]",)),
        ("rigl", ("Method.name='SET'",)),
        ("gmp", ("GMP.of=@ERK()", "ERK.sparsity=0.9")),
        ("connected_rigl", ("LimitedFanIn.of=@EPL()", "EPL.sparsity=0.9")),
    ],
)
def test_other_parts_are_refused_under_the_name_of_a_suite_method(method, sets):
    resolved = assemble(Choices((f"methods/{method}.gin",), sets=sets), "fp32")[1]
    problem = other_parts(read_resolved(resolved.text).bindings)
    assert problem.startswith("Method.name is ") and "but its parts are" in problem


def test_a_run_that_begins_with_another_network_needs_a_name_of_its_own():
    given = ("Run.start=@StartingNetwork()", "StartingNetwork.sha256='0'")
    resolved = assemble(Choices(("methods/snip.gin",), sets=given), "fp32")[1]
    problem = other_parts(read_resolved(resolved.text).bindings)
    assert problem == (
        "Method.name is 'SNIP', the suite's method, but it begins with another network"
    )
    sets = (*given, "Method.name='SNIP from RigL'")
    resolved = assemble(Choices(("methods/snip.gin",), sets=sets), "fp32")[1]
    assert other_parts(read_resolved(resolved.text).bindings) is None


def test_settings_of_parts_and_other_names_are_free():
    for sets in (("RigL.updates_per_run=10",), ("Method.name='Mine'", "Method.parts=[@ERK()]")):
        resolved = assemble(Choices(("methods/rigl.gin",), sets=sets), "fp32")[1]
        assert other_parts(read_resolved(resolved.text).bindings) is None


@pytest.mark.parametrize("name", ["redistributes", "extra_training_macs"])
def test_what_classes_define_is_known_from_their_source(name):
    for path in shipped("methods").values():
        assemble(Choices((str(path),)), "fp32")  # registers its parts
    parts = {n: lookup(n) for n in names("parts")}
    defining = {
        n
        for n, cls in parts.items()
        if any(name in vars(c) and c.__module__.startswith("dstbench.methods.") for c in cls.mro())
    }
    assert classes_with(name) & parts.keys() == defining != set()


def test_parts_that_parts_hold_are_known_from_a_configuration():
    resolved = assemble(Choices(("methods/rigl_cyclic.gin",)), "fp32")[1]
    assert {"ERK", "Cyclic", "RigL", "SGD"} <= classes_in(read_resolved(resolved.text).bindings)


def test_module_of_a_class_is_known_without_importing_it():
    assert module_of("SNFS") == "dstbench.methods.snfs" and module_of("Nowhere") is None
