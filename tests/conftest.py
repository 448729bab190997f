"""What holds for all tests: nothing skips for want of a program where everything is installed."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

# Words of a skip's reason that no installation could change: what this machine is, or who runs the tests.
EXCUSES = ("machine", "root")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With LOADTOOL_CI_FULL=1 a skip is a failure, unless its reason has one of EXCUSES."""
    report = yield
    if os.environ.get("LOADTOOL_CI_FULL") and report.skipped and not hasattr(report, "wasxfail"):
        reason = str(call.excinfo.value) if call.excinfo is not None else "no reason given"
        if not any(word in reason for word in EXCUSES):
            report.outcome = "failed"
            report.longrepr = f"skipped, but LOADTOOL_CI_FULL=1 says that nothing may be missing: {reason}"
    return report
