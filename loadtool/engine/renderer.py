"""Renderer: an arrival's request as the bytes that its connection takes."""

from __future__ import annotations

from loadtool.engine.http1 import Encoder
from loadtool.plan.job import Endpoint
from loadtool.plan.mix import Mix


class Renderer:
    """A mix of requests, written for one endpoint."""

    def __init__(self, mix: Mix, endpoint: Endpoint, *, keepalive: bool) -> None:
        self._mix = mix
        self._encoder = Encoder(endpoint, keepalive=keepalive)

    def render(self, request: int, arrival: int, ordinal: int) -> bytes:
        """The bytes of this arrival's request; see `Mix.message`. Raises RenderError."""
        return self._encoder.encode(self._mix.message(request, arrival, ordinal))
