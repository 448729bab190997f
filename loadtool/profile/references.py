"""What a profile's parts say of each other: names, moments, feeders, templates, objectives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Final

from loadtool import units
from loadtool.errors import ProfileError, got
from loadtool.profile import addresses, keys, templates
from loadtool.profile.certificates import FILES, Certificates, read_certificates
from loadtool.profile.draft import Draft, get, texts
from loadtool.profile.fault_times import TIMES, timing_flaws
from loadtool.profile.feeder import Rows, read_rows
from loadtool.profile.model import Phase
from loadtool.profile.moment import Moment, parse_moment, parse_until, run_length
from loadtool.profile.readers import did_you_mean
from loadtool.profile.recording import Recording
from loadtool.profile.replay_file import read_recording, replayed_length
from loadtool.profile.slo import Slo, parse_slo
from loadtool.profile.slo_rules import spike_flaws, window_flaws
from loadtool.profile.validate import Pieces
from loadtool.profile.yaml_tree import Path

PEAK: Final = 10_000_000.0  # arrivals per second; more is a slip of the keyboard


@dataclass(slots=True)
class Found:
    """What the checks have read on their way."""

    slos: list[Slo] = field(default_factory=list)
    rows: dict[str, Rows] = field(default_factory=dict)
    certificates: Certificates = field(default_factory=Certificates)
    recording: Recording | None = None


class Checker:
    """Checks what ties a draft's parts together. Parts wrong in themselves still lend their names."""

    def __init__(self, draft: Draft, pieces: Pieces, directory: FilePath) -> None:
        self._draft = draft
        self._pieces = pieces
        self._directory = directory
        self._found = Found()

    def check(self) -> Found:
        """Reports to the draft; returns what was read."""
        self._replay()
        self._names()
        self._rates()
        self._proxies()
        self._faults()
        self._reconnects()
        self._sources()
        self._tls()
        self._slos()
        self._templates(self._feeders())
        self._uploads()
        return self._found

    def _replay(self) -> None:
        """Read the recording; without phases, all of it is one."""
        replay, path = self._pieces.replay, ("replay", "file")
        if self._draft.waits_within(("replay",)):
            message = "is read before `setup` has run: nothing in it may wait for a variable"
            self._report(("replay",), message)
        elif replay is not None:
            try:
                self._found.recording = recording = read_recording(
                    self._directory / replay.file,
                    format=replay.format,
                    fields=replay.field_names,
                    bodies=replay.bodies,
                    broken=replay.broken,
                )
                length = replayed_length(replay, recording)
            except ValueError as e:
                self._report(path, f"{replay.file}: {e}")
                return
            for name, hint in recording.unmatched:
                message = f"{replay.file} has no POST, PUT or PATCH of this name{hint}"
                self._report(("replay", "bodies", name), message)
            if self._draft.data.get("phases") is None:
                whole = Phase.model_validate({"name": "replay", "for": length})
                self._draft.data["phases"] = [whole.model_dump(mode="json", by_alias=True, exclude_none=True)]
                self._pieces.phases[0] = whole

    def _section(self, section: str) -> list[tuple[Path, Any]]:
        items = self._draft.data.get(section)
        if isinstance(items, dict):
            return [((section, key), item) for key, item in items.items()]
        return [((section, i), item) for i, item in enumerate(items if isinstance(items, list) else [])]

    def _named(self, section: str) -> list[tuple[Path, str]]:
        """Names of a section's items, with their places."""
        if section == "requests" and self._found.recording is not None:
            return [(("replay",), named.name) for named in self._found.recording.names]
        if section == "requests":  # those may have theirs from method and path
            return [((section, i, "name"), r.name) for i, r in self._pieces.requests.items()]
        if section == "steady_state":
            return [((section, i, "name"), c.name) for i, c in self._pieces.checks.items()]
        if section == "probes":
            return [((section, i, "name"), g.name) for i, g in self._pieces.gauges.items()]
        return [
            ((*path, "name"), item["name"])
            for path, item in self._section(section)
            if isinstance(item, dict) and isinstance(item.get("name"), str)
        ]

    def _all_named(self, *sections: str) -> bool:
        """Whether every item of these sections has a name, so that another name is known to be wrong."""
        if sections == ("requests",) and self._found.recording is not None:
            return True
        return all(
            len(named := self._named(section)) == len(self._section(section))
            and not any(self._draft.waits(path) for path, _ in named)
            for section in sections
        )

    def _names(self) -> None:
        requests = () if self._found.recording is not None else (("requests", ()),)
        for section, others in (
            ("phases", ()),
            *requests,
            ("faults", ("phases",)),
            ("steady_state", ()),
            ("probes", ("steady_state",)),
        ):
            first: dict[str, Path] = {name: path for other in others for path, name in self._named(other)}
            for path, name in self._named(section):
                if name in first:
                    other = keys.show_path(first[name][:-1])
                    hint = "" if path in self._draft.lines else ": give it a `name`"
                    self._report(path, f"{name} is the name of {other} already{hint}", about=path)
                first.setdefault(name, path)

    def _report(self, path: Path, message: str, about: Path | None = None) -> None:
        self._draft.report(path, message, about=about)

    def _rates(self) -> None:
        phases = self._pieces.phases
        for i, phase in phases.items():
            path = ("phases", i)
            if phase.ramp is not None and phase.ramp > phase.for_:
                want = f"at most the phase's `for`, {units.format_duration(phase.for_)}"
                self._report((*path, "ramp"), got(units.format_duration(phase.ramp), want))
            if phase.double_every is not None:
                if phase.ramp is not None:
                    self._report((*path, "double_every"), "only one of ramp and double_every")
                if phase.rate == 0:
                    self._report((*path, "rate"), got("0", "a rate above 0 to double"))
            peak, key = _peak(phase)
            if peak > PEAK:
                reached = f"{peak:.3g}/s in the end" if key == "double_every" else units.format_rate(peak)
                self._report((*path, key), got(reached, f"at most {units.format_rate(PEAK)}"))
        complete = phases and len(phases) == len(self._section("phases"))
        if (
            complete
            and not self._draft.waits_within(("phases",))
            and all(p.rate == 0 for p in phases.values())  # in a replay it is None
        ):
            self._report(("phases",), "every rate is 0, want a phase with a rate such as 50/s")

    def _proxies(self) -> None:
        front: str | None = None
        for path, item in self._section("proxies"):
            upstream = item.get("upstream") if isinstance(item, dict) else None
            if upstream == addresses.DEMO_STORE and self._draft.data.get("target") != addresses.DEMO:
                self._report((*path, "upstream"), got(upstream, "a HOST:PORT; demo.store needs target: demo"))
            if upstream == addresses.TARGET:
                if front is not None:
                    message = f"only one proxy may have the target as its upstream: {front} has"
                    self._report((*path, "upstream"), message)
                front = front or str(path[1])
                if (target := self._target()) is not None and target.startswith(addresses.UNIX):
                    message = f"Toxiproxy speaks TCP and can't reach {target}; want a target such as http://…"
                    self._report((*path, "upstream"), message)

    def _target(self) -> str | None:
        """The target, if it is known and right."""
        target = self._draft.data.get("target")
        known = isinstance(target, str) and ("target",) not in self._draft.reported
        return target if known and not self._draft.waits(("target",)) else None

    def _faults(self) -> None:
        proxies = [str(path[1]) for path, _ in self._section("proxies")]
        known = not isinstance(self._draft.data.get("proxies"), list)  # a list is a mistake already
        for path, item in self._section("faults"):
            if not isinstance(item, dict):
                continue
            proxy = item.get("proxy")
            at = (*path, "proxy")
            if isinstance(proxy, str) and proxy not in proxies and known and at not in self._draft.reported:
                self._report(at, _unknown("proxy", proxy, proxies))
            starts = [self._start(at, moment, path) for at, moment in self._moments((*path, "at"))]
            until = self._until((*path, "until"), item.get("until"))
            fault = self._pieces.faults.get(path[1]) if isinstance(path[1], int) else None
            reported = {place[:3] for place in self._draft.reported}  # a moment of a list has its index too
            if path in reported or any((*path, key) in reported for key in TIMES):
                continue
            if fault is not None and until and None not in starts and self._phases():
                for key, message in timing_flaws(fault, self._phases()):
                    self._report((*path, key), message)

    def _moments(self, place: Path) -> Iterator[tuple[Path, Moment]]:
        """The moments at a place where one may stand alone; what is wrong in itself is left out."""
        listed = get(self._draft.data, place)
        items = enumerate(listed) if isinstance(listed, list) else [(None, listed)]
        for i, text in items:
            path = place if i is None else (*place, i)
            if text is None or path in self._draft.reported:
                continue
            try:
                yield path, parse_moment(text)
            except ValueError:
                continue  # said already

    def _until(self, path: Path, text: Any) -> bool:
        """Whether it is known when a fault ends at the latest."""
        if text is None:
            return True
        try:
            moment = parse_until(text)
        except ValueError:
            return False  # said already
        names = [name for _, name in self._named("phases")]
        if moment.phase in (None, *names):
            return True
        if self._all_named("phases"):
            self._report(path, _unknown("phase", str(moment.phase), names))
        return False

    def _start(self, path: Path, moment: Moment, around: Path) -> int | None:
        """When this moment is, in ns from the run's start, if that is known and within the run.

        What waits for a variable in or around the place is not known.
        """
        names = [name for _, name in self._named("phases")]
        if moment.phase is not None and moment.phase not in names:
            if self._all_named("phases"):
                self._report(path, _unknown("phase", moment.phase, names))
            return None
        phases = self._phases()
        if not phases or self._draft.waits_within(around):
            return None
        start, end, show = moment.since_start(phases), run_length(phases), units.format_duration
        if start < end:
            return start
        self._report(path, f"begins {show(start)} into the run, which ends at {show(end)}")
        return None

    def _phases(self) -> list[Phase]:
        """All phases in their order; none if some are wrong or not known yet."""
        phases = [phase for _, phase in sorted(self._pieces.phases.items())]
        complete = len(phases) == len(self._section("phases"))
        return phases if complete and not self._draft.waits_within(("phases",)) else []

    def _reconnects(self) -> None:
        for path, moment in self._moments(("client", "reconnect")):
            self._start(path, moment, path)

    def _sources(self) -> None:
        target = self._target()
        if target is not None and target.startswith(addresses.UNIX) and self._given("source"):
            self._report(("client", "source"), "a unix-domain socket has no source address; leave this out")

    def _given(self, key: str) -> Any:
        """What `client` says there; nothing if that is empty."""
        return get(self._draft.data, ("client", key)) or None

    def _tls(self) -> None:
        tls = self._given("tls")
        if not isinstance(tls, dict):
            return
        target = self._target()
        if target is not None and not target.lower().startswith("https:"):
            shown = addresses.without_userinfo(target)
            self._report(("client", "tls"), f"needs an https target, and the target is {shown}")
        place = ("client", "tls")
        files = {name: tls[name] for name in FILES if isinstance(tls.get(name), str)}
        mistaken = any((*place, name) in self._draft.reported for name in FILES)
        if mistaken or self._draft.waits_within(place):
            return
        self._found.certificates = read_certificates(
            files, self._directory, lambda name, message: self._report((*place, name), message)
        )

    def _slos(self) -> None:
        stretches = [name for section in ("phases", "faults") for _, name in self._named(section)]
        requests = [name for _, name in self._named("requests")]
        listed = self._draft.data.get("slos")
        items: list[tuple[Path, Any]] = [(("slos",), listed)]  # one may stand alone
        if isinstance(listed, list):
            items = self._section("slos")
        for path, text in items:
            if (objective := self._pieces.objectives.get(path)) is not None:
                path, text = (*path, "slo"), str(objective)
            if not isinstance(text, str) or path in self._draft.reported:
                continue
            try:
                slo = parse_slo(text, self._draft.lines.get(path))
            except ValueError as e:
                self._report(path, str(e))
                continue
            if slo.during not in (None, *stretches) and self._all_named("phases", "faults"):
                self._report(path, _unknown("phase or fault", str(slo.during), stretches))
            if slo.request not in (None, *requests) and self._all_named("requests"):
                self._report(path, _unknown("request", str(slo.request), requests))
            if self._all_phases() and slo.during in (None, *stretches):
                for flaw in spike_flaws(slo, [phase for _, phase in sorted(self._pieces.phases.items())]):
                    self._report(path, flaw)
            for flaw in window_flaws(slo, self._lengths()):
                self._report(path, flaw)
            known = slo.during in (None, *stretches) and slo.request in (None, *requests)
            if known and not self._draft.waits(path):
                self._found.slos.append(slo)

    def _lengths(self) -> dict[str, int]:
        """How long each phase lasts, in ns, of those that are known and right."""
        return {phase.name: phase.for_ for phase in self._pieces.phases.values() if phase.for_}

    def _all_phases(self) -> bool:
        """Whether all phases are known and right in themselves."""
        known = 0 < len(self._pieces.phases) == len(self._section("phases"))
        return known and not self._draft.waits_within(("phases",))

    def _feeders(self) -> dict[str, Sequence[str] | None]:
        """Columns by feeder; None where they are not known."""
        columns: dict[str, Sequence[str] | None] = {str(path[1]): None for path, _ in self._section("data")}
        for name, source in self._pieces.data.items():
            path = ("data", name, "file") if ("data", name, "file") in self._draft.lines else ("data", name)
            if self._draft.waits(path) or ("data", name) in self._draft.reported:
                continue
            try:
                rows = read_rows(self._directory / source.file)
            except ProfileError as e:
                for mistake in e.mistakes:
                    place = f"{source.file}:{mistake.line}" if mistake.line is not None else source.file
                    self._report(path, f"{place}: {mistake.message}")
                continue
            self._found.rows[name] = rows
            columns[name] = rows.columns
        return columns

    def _templates(self, feeders: Mapping[str, Sequence[str] | None]) -> None:
        for path, text in texts(self._draft.data):
            if keys.is_template(path):
                for flaw in templates.flaws(text, feeders):
                    self._report(path, flaw)

    def _uploads(self) -> None:
        for path, file in _uploaded(self._pieces):
            full = self._directory / file
            if self._draft.waits(path):
                continue
            try:
                problem = "" if full.is_file() else "is not a file" if full.exists() else "no such file"
                if not problem:
                    full.open("rb").close()
            except (OSError, ValueError) as e:
                problem = f"cannot be read: {getattr(e, 'strerror', None) or e}"
            if problem:
                self._report(path, f"{file}: {problem}")


def _uploaded(pieces: Pieces) -> Iterator[tuple[Path, str]]:
    for i, request in pieces.requests.items():
        for name, part in (request.multipart or {}).items():
            if isinstance(part, dict):
                yield ("requests", i, "multipart", name, "file"), part["file"]


def _peak(phase: Phase) -> tuple[float, str]:
    """The highest rate of a phase, and the key that leads to it."""
    if phase.double_every is None or not phase.rate:
        return phase.rate or 0.0, "rate"
    doublings = phase.for_ / phase.double_every
    log2 = math.log2(phase.rate) + doublings
    return (2.0**log2 if log2 < 1000 else math.inf), "double_every" if phase.rate <= PEAK else "rate"


def _unknown(kind: str, name: str, known: Iterable[str]) -> str:
    names = list(known)
    hint = did_you_mean(name, names) or (f"; there are {', '.join(names)}" if names else "; there are none")
    return f"no {kind} is named {name}{hint}"
