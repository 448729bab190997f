"""The commented profile that `loadtool init` writes."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Final

from loadtool.errors import UsageError
from loadtool.profile import addresses, environment

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
    quoted = json.dumps(environment.escape(target), ensure_ascii=False)
    return _LINE.sub(lambda _: f"target: {quoted}", text, count=1)
