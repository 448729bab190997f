"""A profile from its YAML file: every mistake at once, with file and line, or a checked Profile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Any, Final

from loadtool.errors import Mistake, ProfileError, got
from loadtool.profile import environment as env
from loadtool.profile import keys
from loadtool.profile.certificates import Certificates
from loadtool.profile.draft import Draft, get, put, texts
from loadtool.profile.fault_times import TIMES
from loadtool.profile.feeder import Rows
from loadtool.profile.files import NotText, read_text
from loadtool.profile.model import Fault, Profile
from loadtool.profile.moment import Moment, named_moments, parse_moment
from loadtool.profile.overrides import apply_overrides
from loadtool.profile.recording import Recording
from loadtool.profile.references import Checker, Found
from loadtool.profile.scaling import scale_load
from loadtool.profile.secrets import Secrets
from loadtool.profile.slo import Slo
from loadtool.profile.substitute import STAND_INS, keep_sources, stand_in, substitute
from loadtool.profile.validate import Pieces, validate
from loadtool.profile.yaml_tree import Path, read_tree

MOST_BYTES: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class Loaded:
    """A checked profile and what is known of its text.

    `lines`: by path, as ("phases", 2, "rate"); what the command line has set has none. `moments`: when each
    fault begins, by its name. `rows`: every feeder's rows. `pending`: variables that were not set and may
    yet be by `setup:`; the values that contain them are stand-ins. `unsettled`: the places of these, and of
    values with variables that `setup:` may set anew. `untimed`: the faults, by name, that wait for it to say
    when they are; `reconnects`: the moments of `client.reconnect` that do not.
    """

    profile: Profile
    file: str
    directory: FilePath
    lines: Mapping[Path, int]
    slos: tuple[Slo, ...]
    moments: Mapping[str, tuple[Moment, ...]]
    rows: Mapping[str, Rows]
    secrets: Secrets
    pending: frozenset[str] = frozenset()
    unsettled: frozenset[Path] = frozenset()
    untimed: frozenset[str] = frozenset()
    reconnects: tuple[Moment, ...] = ()
    masked: Mapping[Path, str] = field(default_factory=dict)  # texts to show instead of those with secrets
    certificates: Certificates = field(default_factory=Certificates)  # of `client.tls`
    recording: Recording | None = None  # of `replay`

    def line_of(self, *path: str | int) -> int | None:
        """Line of a key or item, as line_of("phases", 2, "rate"); None if it does not stand in the file."""
        return self.lines.get(path)

    def shown_paths(self) -> dict[str, str]:
        """The path of each request by the request's name, secrets masked."""
        paths = {}
        for i, request in enumerate(self.profile.requests):
            path = self.masked.get(("requests", i, request.method.lower()), request.path)
            paths[request.name] = self.secrets.mask(path)
        return paths

    def timed_faults(self) -> list[Fault]:
        """The faults of which it is known when they are."""
        return [fault for fault in self.profile.faults if fault.name not in self.untimed]

    @property
    def inputs(self) -> list[tuple[str, FilePath]]:
        """The files that the profile names, each with the key that does."""
        profile, tls = self.profile, self.profile.client.tls
        named = [(f"data.{name}", source.file) for name, source in profile.data.items()]
        if profile.replay is not None:
            named.append(("replay", profile.replay.file))
        if tls is not None:
            files = (("ca", tls.ca), ("cert", tls.cert), ("key", tls.key))
            named += [(f"client.tls.{key}", file) for key, file in files if file is not None]
        for request in profile.requests:
            for name, part in (request.multipart or {}).items():
                if isinstance(part, dict):
                    named.append((f"multipart.{name} of {request.name}", part["file"]))
        return [(key, self.directory / file) for key, file in named]

    def normalised(self) -> dict[str, Any]:
        """The profile as plain JSON values, defaults written out and secrets masked; loads as a profile."""
        dump = self.profile.model_dump(mode="json", by_alias=True, exclude_none=True)
        for path, text in self.masked.items():
            for place in (path, (*path, 0)):  # a value that stood alone for a list is in one now
                if isinstance(get(dump, place), str):
                    put(dump, place, text)
        for path, text in texts(dump):
            free = keys.fits_any(path, keys.FREE)
            put(dump, path, env.escape(self.secrets.mask(text) if free else text))
        return dump


def load_profile(
    file: str | FilePath,
    *,
    overrides: Sequence[str] = (),
    target: str | None = None,
    seed: int | None = None,
    scale: float = 1.0,
    environment: Mapping[str, str],
    pending: bool = False,
    text: str | None = None,
) -> Loaded:
    """The profile of a YAML file, checked.

    `overrides` are texts as `phases.spike.rate=800/s`; `target` and `seed` come last, and
    then all rates are multiplied by `scale`. `environment` is where `${NAME}` is looked up.

    With `pending`, and commands under `setup:`, names that are not set are no mistakes, since the commands
    may print them: their values get stand-ins, what would be wrong with those values is not said, and
    `Loaded.pending` has the names. Load again once the commands have run, with the `text` that `read_profile`
    gave: without it the file is read, and a pipe can be read once.

    Raises ProfileError with every mistake.
    """
    name = str(file)
    draft = _draft(name, read_profile(file) if text is None else text)
    apply_overrides(draft, overrides, target, seed)
    keep_sources(draft)
    substitute(draft, environment, pending=pending)
    scale_load(draft, scale)
    pieces, found = _settle(draft, FilePath(file))
    draft.fail_if_mistaken()
    if pieces.whole is None:
        raise ProfileError(_undecided(draft))
    profile = pieces.whole
    if profile.replay is not None and found.recording is None:
        raise ProfileError(_undecided(draft, ("replay",)))
    if not profile.phases:
        profile = profile.model_copy(update={"phases": (pieces.phases[0],)})
    return Loaded(
        profile=profile,
        file=name,
        directory=FilePath(file).parent,
        lines=MappingProxyType(draft.lines),
        slos=tuple(found.slos),
        moments=MappingProxyType({f.name: tuple(map(parse_moment, f.at)) for f in profile.faults}),
        rows=MappingProxyType(found.rows),
        secrets=Secrets.of(draft.secrets),
        pending=frozenset(draft.pending),
        untimed=frozenset(_untimed(draft, profile, pieces)),
        reconnects=tuple(_reconnects(draft, profile)),
        unsettled=frozenset(draft.unsettled),
        masked=MappingProxyType(draft.masked),
        certificates=found.certificates,
        recording=found.recording,
    )


def read_profile(file: str | FilePath) -> str:
    """The text of a profile's file. Raises ProfileError if it can't be read."""
    try:
        return read_text(FilePath(file), most_bytes=MOST_BYTES)
    except ValueError as e:
        line = e.line if isinstance(e, NotText) else None
        raise ProfileError([Mistake(str(file), line, "", str(e))]) from None


def _draft(name: str, text: str) -> Draft:
    """The text of file `name` as a draft. Raises ProfileError if it is no YAML mapping."""
    tree = read_tree(text)
    if tree.flaws:
        raise ProfileError([Mistake(name, f.line, keys.show_path(f.path), f.message) for f in tree.flaws])
    if not isinstance(tree.data, dict):
        message = got(tree.data, "keys such as target, requests and phases")
        raise ProfileError([Mistake(name, 1, "", message)])
    return Draft(name, tree.data, tree.lines, tree.sources)


def _settle(draft: Draft, file: FilePath) -> tuple[Pieces, Found]:
    """Models of the draft, all checks done. Values that wait for a variable try stand-in after stand-in."""
    choices = dict.fromkeys(draft.unset, 0)
    before, reported = list(draft.mistakes), set(draft.reported)
    while True:
        pieces = validate(draft, file.stem)
        unsuited = [p for p in choices if any(r[: len(p)] == p for r in draft.reported - reported)]
        unsuited = [p for p in unsuited if choices[p] + 1 < len(STAND_INS)]
        if not unsuited:
            return pieces, Checker(draft, pieces, file.parent).check()
        for path in unsuited:
            choices[path] += 1
            stand_in(draft, path, choices[path])
        draft.mistakes, draft.reported = list(before), set(reported)


def _untimed(draft: Draft, profile: Profile, pieces: Pieces) -> Iterator[str]:
    """The faults whose time waits for a variable, or for the name of a phase that does."""
    waiting = {path[1] for path in draft.unset if path[0] == "faults" and set(path[2:3]) & set(TIMES)}
    for i, fault in pieces.faults.items():
        if i in waiting or not all(_is_known(moment, profile) for moment in named_moments(fault)):
            yield fault.name


def _reconnects(draft: Draft, profile: Profile) -> Iterator[Moment]:
    for i, text in enumerate(profile.client.reconnect):
        moment = parse_moment(text)
        if not draft.waits(("client", "reconnect", i)) and _is_known(moment, profile):
            yield moment


def _is_known(moment: Moment, profile: Profile) -> bool:
    """Whether its phase is there: a phase's name may wait too."""
    return moment.phase in (None, *(phase.name for phase in profile.phases))


def _undecided(draft: Draft, within: Path = ()) -> list[Mistake]:
    """For a profile that cannot even be read before `setup:` has run, since something within here waits."""
    mistakes = []
    for path, pieces in draft.unset.items():
        if path[: len(within)] != within:
            continue
        names = {piece.name for piece in pieces if piece.origin is env.Origin.UNSET}
        for name in sorted(names):
            message = f"{name} is not set before `setup` has run; give it a default, as ${{{name}:-…}}"
            mistakes.append(Mistake(draft.file, draft.lines.get(path), keys.show_path(path), message))
    return mistakes
