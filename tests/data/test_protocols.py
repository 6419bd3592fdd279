"""Evaluation protocols."""

from dstbench.data.protocols import PROTOCOLS


def test_protocols_show_the_documented_accuracy():
    assert {name: p.shown for name, p in PROTOCOLS.items()} == {
        "strict": "test_final",
        "paper": "test_at_best_val",
        "itop_compat": "test_at_best_val",
    }
