"""Repeated real runs of a short profile against the demo service, and what `loadtool compare` makes of them.

False alarms: pairs of equal runs that it calls better or worse. Power: pairs with a known difference (more
service time) that it calls worse. See docs/compare.md.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import permutations, product
from pathlib import Path

from loadtool.judge.compare import Comparer
from loadtool.judge.compare_gate import decide, parse_gate
from loadtool.judge.compare_metrics import METRICS
from loadtool.judge.compare_sample import Sample
from loadtool.report.result_file import read

PROFILE = """\
name: compare-alarms
target: http://127.0.0.1:1
seed: 42
good_within: 100ms
requests:
  - {name: browse, weight: 4, get: "/products/{{ randint(1, 500) }}"}
  - {name: checkout, weight: 1, post: /checkout, json: {quantity: 1}}
phases:
  - {name: warmup, rate: 20/s, for: 2s}
  - {name: baseline, rate: 50/s, for: 12s}
  - {name: spike, rate: 200/s, for: 12s}
  - {name: recovery, rate: 50/s, for: 10s}
validity: {lag: 50ms}
slos: [error rate < 5%]
"""
say = partial(print, flush=True)
USUAL_MS = 8.0  # of work for a request; the demo's store adds 2 ms to a call, of which a request makes 1.2
STORE_MS = 2.4


@contextmanager
def service(service_ms: float) -> Iterator[str]:
    """The demo service in a process of its own; its URL."""
    argv = [sys.executable, "-m", "loadtool", "target", "--service-time", f"{service_ms:g}ms"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        yield next(word.rstrip(",") for word in words if word.startswith("http"))
    finally:
        process.terminate()
        process.wait(10)


def run(directory: Path, service_ms: float) -> None:
    """One run, its result in `directory`."""
    if (directory / "result.json").exists():
        return
    profile = directory.parent / "profile.yaml"
    profile.write_text(PROFILE)
    with service(service_ms) as url:
        argv = [sys.executable, "-m", "loadtool", "spike", "-p", str(profile), "--target", url, "-q"]
        done = subprocess.run([*argv, "--out", str(directory)], capture_output=True, text=True)
    say(f"{directory.name}: exit {done.returncode}")


def make(place: Path, equal: int, slower: int, by: float) -> None:
    """The runs, equal and slower ones in turn, so that a change of the machine's mood hits both."""
    slow_ms = USUAL_MS + by * (USUAL_MS + STORE_MS)
    for number in range(max(equal, slower)):
        if number < equal:
            run(place / f"equal-{number + 1:02d}", USUAL_MS)
        if number < slower:
            run(place / f"slower-{number + 1:02d}", slow_ms)


def samples(place: Path, name: str) -> list[Sample]:
    """The runs of this name that prove something."""
    found = [Sample.of(read(path)) for path in sorted(place.glob(f"{name}-*"))]
    for sample in found:
        if sample.doubt:
            say(f"left out, {sample.result.started}: {sample.doubt}")
    return [sample for sample in found if not sample.doubt]


@dataclass
class Count:
    """What became of one figure over many comparisons."""

    worse: int = 0
    better: int = 0
    same: int = 0
    open: int = 0

    def add(self, label: str) -> None:
        name = "open" if label == "can't tell" else label
        setattr(self, name, getattr(self, name) + 1)

    @property
    def every(self) -> int:
        return self.worse + self.better + self.same + self.open


@dataclass
class Tries:
    """Comparisons of one kind."""

    title: str
    figures: dict[str, Count] = field(default_factory=dict)
    comparisons: int = 0
    alarmed: int = 0  # with at least one figure called better or worse
    gates: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, before: Sequence[Sample], after: Sequence[Sample]) -> None:
        comparer = Comparer(before, after)
        labels = []
        for d in comparer.compare().differences:
            if d.metric in METRICS:
                where = d.where or "overall"
                self.figures.setdefault(f"{d.metric} {where}", Count()).add(d.label)
                labels.append(d.label)
        self.comparisons += 1
        self.alarmed += bool({"better", "worse"} & set(labels))
        for finding in decide([parse_gate(text) for text in GATES], comparer):
            self.gates[finding.gate.text, finding.decision] += 1

    def show(self) -> None:
        say(f"\n{self.title}: {self.comparisons} comparisons")
        total = Count(*(sum(getattr(c, n) for c in self.figures.values()) for n in COUNTED))
        called = total.worse + total.better
        say(f"  figures called better or worse: {called} of {total.every}, {share(called, total.every)}")
        say(f"  comparisons with any such: {self.alarmed}, {share(self.alarmed, self.comparisons)}")
        say("  figure                    worse  better    same  can't tell")
        for name, c in self.figures.items():
            say(f"  {name:<24}{c.worse:>7}{c.better:>8}{c.same:>8}{c.open:>12}")
        for text in GATES:
            parts = [f"{what} {self.gates[text, what]}" for what in ("holds", "clear", "undecidable")]
            say(f"  {text:<24} {', '.join(parts)}")


COUNTED = ("worse", "better", "same", "open")
GATES = ("p50 worse by 10%", "p99 worse by 50%", "goodput worse by 10%", "error rate worse by 1pp")


def share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "n/a"


def triples(runs: Sequence[Sample], seed: int, number: int) -> list[tuple[list[Sample], list[Sample]]]:
    """Splits of the runs into three and three others, drawn at random."""
    draw = random.Random(seed)
    splits = [draw.sample(range(len(runs)), 6) for _ in range(number)] if len(runs) >= 6 else []
    return [([runs[i] for i in s[:3]], [runs[i] for i in s[3:]]) for s in splits]


def analyse(place: Path) -> None:
    equal, slower = samples(place, "equal"), samples(place, "slower")
    tries = Tries("equal runs, one a side (both ways round)")
    for before, after in permutations(equal, 2):
        tries.add([before], [after])
    tries.show()
    tries = Tries("a slower service, one run a side")
    for before, after in product(equal, slower):
        tries.add([before], [after])
    tries.show()
    tries = Tries("equal runs, three a side")
    for ours, others in triples(equal, 1, 40):
        tries.add(ours, others)
    tries.show()
    tries = Tries("a slower service, three runs a side")
    draw = random.Random(2)
    for _ in range(40 if min(len(equal), len(slower)) >= 3 else 0):
        tries.add(draw.sample(equal, 3), draw.sample(slower, 3))
    tries.show()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--equal", type=int, default=12, metavar="N", help="runs without a difference")
    parser.add_argument("--slower", type=int, default=6, metavar="N", help="runs with one")
    parser.add_argument("--by", type=float, default=0.2, metavar="SHARE", help="of service time")
    parser.add_argument("--results", type=Path, metavar="DIR", help="where runs are kept, and found again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = options.results or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        make(place, options.equal, options.slower, options.by)
        analyse(place)
    return 0


if __name__ == "__main__":
    sys.exit(main())
