"""A small profile for tests, and how they load it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from loadtool.errors import ProfileError
from loadtool.profile.load import Loaded, load_profile

SMALL = """\
target: http://127.0.0.1:8080
requests:
  - get: /
phases:
  - {name: baseline, rate: 10/s, for: 10s}
  - {name: spike, rate: 100/s, for: 10s}
"""


def load(
    directory: Path,
    text: str = SMALL,
    *,
    overrides: Sequence[str] = (),
    target: str | None = None,
    seed: int | None = None,
    environment: Mapping[str, str] | None = None,
    pending: bool = False,
) -> Loaded:
    """The profile of this text, as the file shop.yaml of a directory."""
    file = directory / "shop.yaml"
    file.write_bytes(text.encode())
    return load_profile(
        file, overrides=overrides, target=target, seed=seed, environment=environment or {}, pending=pending
    )


def mistakes(
    directory: Path,
    text: str = SMALL,
    *,
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    pending: bool = False,
) -> list[str]:
    """What is said of a wrong profile, line by line, without the directory."""
    with pytest.raises(ProfileError) as e:
        load(directory, text, overrides=overrides, environment=environment, pending=pending)
    assert e.value.exit_code == 2
    said = str(e.value).splitlines()
    assert len(said) == len(e.value.mistakes), "a mistake is one line"
    return [line.replace(f"{directory}/", "") for line in said]
