"""What holds for all tests: nothing skips for want of a program where everything is installed."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator

import hypothesis
import pytest

# No example is measured by the clock: a slow machine must not turn a test red.
hypothesis.settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any-machine")

# Words of a skip's reason that no installation could change: what this machine is, or who runs the tests.
EXCUSES = ("machine", "root")


def pytest_configure() -> None:
    """Let Ctrl-C reach what the tests start: a pytest in the background ignores it, and they inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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
