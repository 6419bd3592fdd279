"""The summary that is printed when a run ends."""

from helpers.record_factory import make_record

from dstbench.recording.run_summary import run_summary


def test_run_summary_explains_the_effective_sparsity_of_a_dense_offset():
    record = make_record()
    record["sparsity"]["effective"] = record["sparsity"]["measured"]
    assert "dense offset" not in run_summary(record, "", "")
    record["cost"]["offset_macs"] = 1000
    assert "effective 99 % (the dense offset connects every weight)" in run_summary(record, "", "")


def test_run_summary_lists_settings_that_the_recipe_replaced():
    record = make_record()
    record["overrides"] = [{"binding": "RigL.update_interval", "method": 100, "recipe": 4000}]
    text = "RigL.update_interval = 4000; the method's file has 100"
    assert text in run_summary(record, "", "")


def test_run_summary_lists_the_steps_of_the_native_engine():
    record = make_record()
    assert "engine" not in run_summary(record, "", "")
    record["provenance"]["engine_steps"] = {"torch": 22, "native": 97728}
    assert "torch 22 steps · native 97,728 steps" in run_summary(record, "", "")


def test_run_summary_says_that_a_network_is_off_its_budget():
    record = make_record()
    assert "off its budget" not in run_summary(record, "", "")
    cost = record["cost"]
    live, cost["live_weights"] = cost["live_weights"], cost["prunable_weights"]
    text = f"{cost['prunable_weights']:,} live weights, where 99 % of {cost['prunable_weights']:,}"
    summary = " ".join(run_summary(record, "", "").split())
    assert f"off its budget {text} leaves {live:,}" in summary
