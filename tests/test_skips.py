"""A test that is skipped without a missing component fails."""

from types import SimpleNamespace

import pytest
from helpers.skips import fail_unexpected_skip


def skipped(reason, **more):
    longrepr = ("tests/test_x.py", 3, f"Skipped: {reason}")
    return SimpleNamespace(skipped=True, outcome="skipped", longrepr=longrepr, **more)


@pytest.mark.parametrize(
    "reason", ["needs Chromium", "could not import 'ray': No module named 'ray'"]
)
def test_skip_for_missing_component_is_allowed(reason):
    report = skipped(reason)
    fail_unexpected_skip(report)
    assert report.outcome == "skipped"


def test_skip_for_any_other_reason_fails():
    report = skipped("not in a checkout")
    fail_unexpected_skip(report)
    assert report.outcome == "failed"
    assert "'not in a checkout'" in report.longrepr


def test_expected_failure_is_not_a_skip():
    report = skipped("a known defect", wasxfail="a known defect")
    fail_unexpected_skip(report)
    assert report.outcome == "skipped"
