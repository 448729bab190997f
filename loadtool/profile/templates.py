"""What is wrong with a template, found without rendering it.

Jinja is imported only when there is a template (`template_flaws.py`): a profile without any never loads it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_MARKS = re.compile(r"\{[{%#]")


def flaws(text: str, feeders: Mapping[str, Sequence[str] | None]) -> list[str]:
    """What is wrong with this template: syntax, names, filters, columns.

    `feeders`: columns by feeder, None where they could not be read.
    """
    if not _MARKS.search(text):
        return []
    from loadtool.profile.template_flaws import flaws_of

    return flaws_of(text, feeders)
