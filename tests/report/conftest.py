"""What tests of pages share: a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chromium import Chromium, program


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    """One browser for all tests of a file: it takes a second to start."""
    path = program()
    assert path is not None
    with Chromium(path) as started:
        yield started
