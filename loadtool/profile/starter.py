"""The commented profile that `loadtool init` writes."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Final

from loadtool.errors import UsageError
from loadtool.profile import addresses, environment

_FAULTS: Final = re.compile(r"^proxies:\n.*?(?=\n\n)", re.MULTILINE | re.DOTALL)
_FRONT: Final = re.compile(r"front: \{upstream: target\}.*")
_STORE: Final = "front: {upstream: 127.0.0.1:5432}   # a dependency: Toxiproxy can't stand before a socket"
_LINE: Final = re.compile(r"^target: demo +#.*$", re.MULTILINE)


def starter(target: str | None = None) -> str:
    """A profile that loads and runs as it is, against this URL or the embedded demo service.

    Raises UsageError for a target that no profile may have.
    """
    text = files(__package__).joinpath("starter.yaml").read_text("utf-8")
    if target is None or target == addresses.DEMO:
        return text
    try:
        addresses.target(target)
    except ValueError as e:
        raise UsageError(f"--target: {e}") from None
    if target.startswith(addresses.UNIX):
        text = _FAULTS.sub(lambda block: _FRONT.sub(_STORE, block[0]).replace("\n", "\n# "), text, count=1)
        text = text.replace("\nproxies:", "\n# proxies:")
    quoted = json.dumps(environment.escape(target), ensure_ascii=False)
    return _LINE.sub(lambda _: f"target: {quoted}", text, count=1)
