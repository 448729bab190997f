"""The page itself: tables and texts through an escaping template, charts as data, Plotly and style inlined.

Nothing on it is fetched from anywhere. Its Content-Security-Policy lets two scripts run, known by their
hashes, so that a text that slipped through as markup would still do nothing.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from loadtool.measure.result import Figures, Result
from loadtool.report import digest, figures, overload
from loadtool.report.html import bands
from loadtool.report.html.charts import CHARTS, Chart
from loadtool.report.html.drawing import Drawing, plain, rounded
from loadtool.report.html.slices import slices
from loadtool.report.html.story import Story, story_of
from loadtool.report.html.tables import sections
from loadtool.report.text import clean, clip

# What a script element must not hold as it is; in JSON each can be written as an escape.
_UNSAFE_IN_SCRIPT: Final = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}
_LONGEST_NAME: Final = 80  # of what was going on, in the label of a chart
_PARTS: Final = ("ok", "shed", "errors")


def render(result: Result) -> str:
    """The page as text. Raises UsageError for a result whose histograms are none."""
    story = story_of(result)
    drawings = [(chart, chart.draw(story)) for chart in CHARTS]
    drawn = [(chart, drawing) for chart, drawing in drawings if drawing is not None or chart.without]
    plotly, script = _plotly(), own("page.js")
    text = template("page.html.j2").render(
        result=result,
        name=digest.name(result),
        target=digest.target(result),
        headline=digest.headline(result),
        reasons=digest.reasons(result),
        symbol=digest.SYMBOLS.get(result.verdict, ""),
        sentences=[(s, f.verdict, overload.LIKE.get(f.verdict, "")) for f, s in overload.sentences(result)],
        tiles=_tiles(result),
        conservation=digest.conservation(result),
        facts=_facts(result),
        sections=sections(result),
        charts=drawn,
        slices=slices(story),
        footnote=figures.FOOTNOTE if digest.unbounded(result) else "",
        profile=_profile_lines(result),
        policy=_policy(plotly, script),
        style=own("page.css"),
        script=script,
        plotly=plotly,
        data=_json(_data(story, drawn)),
    )
    return text.rstrip("\n") + "\n"


def _tiles(result: Result) -> list[tuple[str, str, str, str, float]]:
    """Label, value, remark, tone and share of the bar, of each outcome."""
    t: Figures = result.totals
    counts = {"ok": t.ok, "shed": t.shed, "errors": sum(t.errors.values())}
    whole = max(t.scheduled, 1)
    return [
        (part, figures.count(counts[part]), figures.share(counts[part] / whole), part, counts[part] / whole)
        for part in _PARTS
    ]


def _facts(result: Result) -> list[tuple[str, str]]:
    facts = [
        ("target", digest.target(result)),
        ("started", when(result.started)),
        ("took", figures.seconds(result.elapsed_s)),
        ("profile", result.profile_file),
        ("seed", str(result.seed)),
        ("good within", figures.duration(result.good_within_ms)),
        ("clients", digest.clients(result)),
    ]
    return [(label, text) for label, text in facts if text]


def when(started: str) -> str:
    """2026-03-01 12:00:00 UTC; a text that is no time stays as it is."""
    try:
        return datetime.fromisoformat(started).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError):
        return started


def _profile_lines(result: Result) -> list[str]:
    """The profile as YAML: as it ran, with what the environment gave masked."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment] # declared as None, read as a bool
    yaml.width = 120
    out = io.StringIO()
    try:
        yaml.dump(result.profile, out)
        text = out.getvalue()
    except YAMLError:  # a text that YAML can't hold, in a result that no loadtool wrote
        text = json.dumps(result.profile, indent=2, ensure_ascii=True)
    return text.splitlines()


def _data(story: Story, drawn: list[tuple[Chart, Drawing | None]]) -> dict[str, Any]:
    """What the page's script draws."""
    return {
        "end": rounded(story.end_s),
        "phases": bands.phases(story),
        "faults": bands.faults(story),
        "around": {
            "x": [rounded(m.middle_s) for m in story.moments],
            "text": [plain(clip(story.around(m.middle_s), _LONGEST_NAME)) for m in story.moments],
        },
        "charts": {
            chart.key: {
                "traces": d.traces,
                "layout": d.layout,
                "onTime": d.on_time,
                "height": d.height,
                "hover": d.hover,
            }
            for chart, d in drawn
            if d is not None
        },
    }


def _json(data: dict[str, Any]) -> str:
    """JSON that stays data inside a script element, whatever texts it holds."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).translate(_UNSAFE_IN_SCRIPT)


def _policy(*scripts: str) -> str:
    """Scripts by their hashes, styles that Plotly sets, pictures that it draws. Nothing from a network."""
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:;"
        " base-uri 'none'; form-action 'none'"
    )


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


@cache
def _plotly() -> str:
    """Plotly's own script, as its package brings it; a line break is a plain one, as a browser hashes it."""
    from plotly.offline import get_plotlyjs  # slow to import, and only this format needs it

    script = str(get_plotlyjs()).replace("\r\n", "\n").replace("\r", "\n")
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def own(name: str) -> str:
    """A file that lies beside this one."""
    return files(__package__).joinpath(name).read_text("utf-8")


def _shown(value: object) -> object:
    """What the template writes: printable, unless it is markup of the template's own making."""
    return value if hasattr(value, "__html__") else clean(value)


@cache
def template(name: str) -> Template:
    """A template that escapes whatever it is given."""
    environment = Environment(
        loader=PackageLoader("loadtool.report.html", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    return environment.get_template(name)
