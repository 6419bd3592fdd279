"""What the numbers of a record leave out, in words."""

from helpers.record_factory import make_record

from dstbench.recording.run_summary import run_summary
from dstbench.recording.uncounted import uncounted_text, unpruned_text


def test_texts_are_none_where_nothing_is_left_out():
    assert unpruned_text({"unpruned": {}, "unpruned_fraction": 0.0}) is None
    assert unpruned_text({"asked": 0.9}) is None
    assert uncounted_text({"unused": []}) is None


def test_texts_name_what_is_left_out():
    sizes = {f"w{i}": 10 + i for i in range(6)}
    text = unpruned_text({"unpruned": sizes, "unpruned_fraction": 0.25})
    assert text.startswith("75 weights beside them, 25 % without embeddings: w5 (15), w4 (14)")
    assert text.endswith("and 2 more")
    assert uncounted_text({"unused": ["fc.weight"], "uncounted": {"matmul": 2, "gru": 1}}) == (
        "2 × matmul, gru, fc.weight (no step uses it)"
    )


def test_summary_shows_unpruned_weights_uncounted_macs_and_live_zeros():
    record = make_record()
    assert "never pruned" not in run_summary(record, "r", "off")
    record["sparsity"] |= {"unpruned": {"lstm.w": 900}, "unpruned_fraction": 0.5}
    record["cost"]["uncounted"] = {"lstm with lstm.w": 1}
    record["health"]["live_zeros"] = 12
    text = " ".join(run_summary(record, "r", "off").split())
    assert "never pruned 900 weights beside them, 50 %" in text
    assert "not counted lstm with lstm.w" in text and "12 of the live exactly zero" in text
