"""Evaluation protocols."""

from dstbench.data.protocols import PROTOCOLS


def test_protocols_show_the_documented_accuracy():
    assert {name: p.shown for name, p in PROTOCOLS.items()} == {
        "strict": "test_final",
        "paper": "test_at_best_val",
        "itop_compat": "test_at_best_val",
        "all_images": "test_final",
    }


def test_protocol_that_trains_on_all_images_selects_no_epoch():
    assert [name for name, p in PROTOCOLS.items() if not p.selects_epoch] == ["all_images"]
