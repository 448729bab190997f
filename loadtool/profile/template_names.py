"""The names that templates may use, besides the profile's feeders. `plan/` gives them their meaning."""

from __future__ import annotations

from typing import Final

FUNCTIONS: Final = frozenset({"randint", "uniform", "choice", "uuid", "random_string", "base64", "urlencode"})
VARIABLES: Final = frozenset({"arrival"})  # the number of the arrival
# Jinja's own; its `lipsum` is not among them, since it draws from a generator of its own.
BUILT_IN: Final = frozenset({"range", "dict", "cycler", "joiner", "namespace"})
NAMES: Final = FUNCTIONS | VARIABLES | BUILT_IN
