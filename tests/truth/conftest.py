"""What these tests need of the machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from truth_run import awake


@pytest.fixture(scope="package", autouse=True)
def cores_awake() -> Iterator[None]:
    """No core sleeps while they run, or its waking up would be measured, too."""
    if sys.platform == "linux":
        with awake():
            yield
    else:
        yield
