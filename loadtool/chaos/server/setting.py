"""Setting: a toxic as the API shows it, shared by all connections of its proxy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

DIRECTIONS = ("upstream", "downstream")  # also the order in which the API lists toxics


@dataclass(slots=True)
class Setting:
    """One toxic of a proxy. `toxicity` is a share of connections; attributes are in the API's units."""

    name: str
    type: str
    stream: str  # as it was given: the real server keeps the letters' case
    toxicity: float
    attributes: dict[str, int]

    @property
    def direction(self) -> str:
        return self.stream.lower()

    def as_json(self) -> dict[str, Any]:
        return {
            "attributes": self.attributes,
            "name": self.name,
            "type": self.type,
            "stream": self.stream,
            "toxicity": int(self.toxicity) if self.toxicity.is_integer() else self.toxicity,
        }
