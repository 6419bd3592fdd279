"""What `deploy --c` says where images or compilers are missing."""

import pytest
from helpers.c_networks import described
from helpers.deploy_networks import IMAGE, random_net

from dstbench.deployment.c_export import c_extra
from dstbench.deployment.compiler.compile import compile_network
from dstbench.errors import UserError


@pytest.fixture
def without_images(monkeypatch):
    def missing(*_):
        raise UserError("no images.")

    monkeypatch.setattr(c_extra, "loaders_of", missing)
    return compile_network(random_net(0), IMAGE, described())


def test_without_images_int8_is_left_out_with_a_note_and_nothing_is_claimed(without_images):
    made = c_extra.CExtra(None, None).files(without_images, None)
    assert made.contents.keys() == {"network.h", "network.c"}
    (note,) = made.notes
    assert note.startswith("network_int8.c is left out") and note.endswith("no images.")
    assert "left out" in made.card["`network_int8.c`"]
    assert "test accuracy not measured" in made.card["`network.c`"]


def test_without_a_compiler_only_tables_are_counted_and_fitting_is_not_claimed(
    without_images, monkeypatch
):
    monkeypatch.setattr(c_extra, "cortex_m4_compiler", lambda: None)
    source = c_extra.c_source(without_images)
    size, fit = c_extra._sizes(source)
    assert f"{source.flash_bytes:,} bytes of tables, code not counted" in size
    assert fit.endswith("is not known")
