"""Renderer: an arrival's request as the bytes that its connection takes."""

from __future__ import annotations

from loadtool.engine.encoder import Encoder
from loadtool.plan.job import Endpoint
from loadtool.plan.mix import Mix


class Renderer:
    """A mix of requests, written for one endpoint."""

    def __init__(self, mix: Mix, endpoint: Endpoint, *, keepalive: bool) -> None:
        self._mix = mix
        # What a profile says of a request stays, but for values; of a recorded one it does not.
        self._is_of_kinds = not mix.is_replayed
        self._encoder = Encoder(endpoint, keepalive=keepalive, kinds=2 * mix.requests)

    def render(self, request: int, arrival: int, ordinal: int) -> bytes:
        """The bytes of this arrival's request; see `Mix.message`. Raises RenderError."""
        message = self._mix.message(request, arrival, ordinal)
        kind = 2 * request + (len(message.body) > 0) if self._is_of_kinds else -1
        return self._encoder.encode(message, kind)
