"""Names of runs."""

from dstbench.recording.run_name import run_name, slug


def test_run_name_is_readable_and_ends_with_hash():
    name = run_name("RigL w/ clip", "cifar10", "ResNet34", 0.9995, 2, "4433b9f7" * 8)
    assert name == "rigl_w_clip-cifar10-resnet34-s0.9995-seed2-4433b9f7"


def test_slug_replaces_odd_characters():
    assert slug("A b/c", "d:é") == "a_b_c-d_"
