"""What is said of the best dense forms, and of where the deployed network is not ahead of them."""

from dstbench.cli.measurement_table import best_lines

MILLISECONDS = {
    ("dense", 1): 8.0,
    ("openvino bf16", 1): 2.0,
    ("deployed", 1): 0.5,
    ("dense", 64): 40.0,
    ("openvino bf16", 64): 10.0,
    ("deployed", 64): 20.0,
}


def measurement(**latencies):
    return {
        "timings": [
            {"form": form, "batch": batch, "latency_ms": latencies.get(f"{form}{batch}", ms)}
            for (form, batch), ms in MILLISECONDS.items()
        ],
        "best_dense": {"1": "dense", "64": "dense"},
        "best_dense_any": {"1": "openvino bf16", "64": "openvino bf16"},
    }


def test_speed_up_is_over_the_best_of_fp32_and_of_any_precision():
    fp32, any_precision, _ = best_lines(measurement())
    assert fp32.endswith("batch 1: dense, deployed 16× · batch 64: dense, deployed 2×")
    assert any_precision.endswith(
        "batch 1: openvino bf16, deployed 4× · batch 64: openvino bf16, deployed 0.5×"
    )


def test_batches_at_which_the_deployed_network_is_not_ahead_are_named():
    *_, last = best_lines(measurement())
    assert last.startswith("At batch 64 deployed is not ahead of openvino bf16: there network.onnx")
    assert len(best_lines(measurement(deployed64=9.0))) == 2


def test_records_without_other_precisions_are_compared_with_fp32():
    old = measurement()
    del old["best_dense_any"]
    assert [line.rpartition("batch 64: ")[2] for line in best_lines(old)] == [
        "dense, deployed 2×"
    ] * 2
