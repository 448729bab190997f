"""What holds for every transport is tested on every transport."""

from __future__ import annotations

import engine_harness
import pytest

from loadtool.engine.transports import TRANSPORTS


@pytest.fixture(params=list(TRANSPORTS))
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The transport of the harness's jobs, each in turn; `usefixtures("transport")` is enough."""
    name: str = request.param
    monkeypatch.setattr(engine_harness, "TRANSPORT", name)
    return name
