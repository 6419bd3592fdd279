"""The rule for skipped tests: only a missing component may skip one, so that no test is lost."""

ALLOWED = ("needs ", "could not import ")  # the second is pytest.importorskip's


def fail_unexpected_skip(report) -> None:
    """Turn a skip into a failure, unless its reason names a missing component.

    report: a TestReport or CollectReport of pytest; changed in place.
    """
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = str(report.longrepr[2]).removeprefix("Skipped: ")
    if not reason.startswith(ALLOWED):
        report.outcome = "failed"
        report.longrepr = (
            f"unexpected skip: {reason!r}; a reason must begin with one of {ALLOWED} and name the "
            "component that is missing"
        )
