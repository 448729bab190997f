"""What an SLO is about is found, and pooled once for all that ask: the same figures, and little work."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import product

import pytest
from judge_samples import Part, judge_slos, result_of

from loadtool.judge import coverage as coverage_module
from loadtool.judge.abort import AbortWatch
from loadtool.judge.case import Case
from loadtool.judge.coverage import Coverage
from loadtool.judge.slo import METRICS, Metric, judge_groups
from loadtool.judge.validity import invalidities
from loadtool.measure.books import Books
from loadtool.measure.frame import CellDelta, Frame, Sparse
from loadtool.measure.groups import Group, Groups
from loadtool.measure.outcome import H_OK, OK
from loadtool.measure.population import CellKey, Cells, Population, pool
from loadtool.measure.summary import result_parts
from loadtool.measure.tally import Tally
from loadtool.plan.job import ClientSpec, Endpoint, FaultWindow, Job, PhaseSpec, RequestSpec
from loadtool.plan.schedule import Schedule
from loadtool.plan.timeline import Timeline
from loadtool.profile.slo import Slo, parse_slo

SECOND = 1_000_000_000
PHASES = ("warmup", "baseline", "spike", "recovery")
FAULTS = ((), ("slow",), ("slow", "cut"), ("spike-like",))
REQUESTS = ("browse", "checkout", "two words")
ABOUT = (
    "p50 < 200ms", "p99.9 < 700ms", "ok p90 < 300ms", "shed p99 < 50ms", "service p95 < 1s", "max < 800ms",
    "mean < 300ms", "error rate < 5%", "shed rate < 10%", "goodput > 3/s", "rate > 2/s",
)  # fmt: skip
WHERE = ("", " during baseline", " during warmup", " during slow", " during cut", " during nowhere")
WHOSE = ("", " for browse", ' for "two words"')
SLOS = [parse_slo("".join(words)) for words in product(ABOUT, WHERE, WHOSE)]


def some_parts(seed: int) -> list[Part]:
    """Cells of some requests in some stretches, half of which hold nothing."""
    chance = random.Random(seed)

    def times(most: int) -> list[int]:
        return [chance.randint(100, 900_000) for _ in range(chance.randint(0, most))]

    parts = []
    for phase, faults in product(PHASES, FAULTS):
        seconds = chance.randint(1, 30) / 7
        for request in chance.sample(REQUESTS, chance.randint(0, 3)):
            part = Part(phase, faults, request, seconds)
            if chance.random() < 0.5:
                part.ok, part.shed, part.status, part.lag = times(60), times(9), times(5), times(70)
                part.errors = {"aborted": chance.randint(0, 4), "timeout": chance.randint(0, 2)}
            parts.append(part)
    return parts


def cell_by_cell(slo: Slo, cells: Cells, warmups: Sequence[str]) -> list[tuple[CellKey, Population]]:
    """What an SLO is about, by a look at each cell."""
    phase = [(k, p) for k, p in cells.items() if k.phase == slo.during]
    fault = [(k, p) for k, p in cells.items() if slo.during in k.faults]
    judged = [(k, p) for k, p in cells.items() if k.phase not in warmups]
    about = judged if slo.during is None else phase or fault
    return [(k, p) for k, p in about if slo.request in (None, k.request)]


@pytest.mark.parametrize("seed", range(12))
def test_pools_are_those_of_a_look_at_each_cell(seed: int) -> None:
    cells = {CellKey(p.phase, p.faults, p.request): p.population() for p in some_parts(seed)}
    coverage = Coverage(Groups.of(cells), {"warmup"})
    for slo in SLOS:
        metric = METRICS[slo.metric]
        assert isinstance(metric, Metric)
        wanted = cell_by_cell(slo, cells, ["warmup"])
        assert coverage.pool(slo, metric.classes) == pool(wanted, metric.classes)
        assert bool(coverage.of(slo)) == bool(wanted)
        assert dict(coverage.cells(slo)) == {k: p for k, p in wanted if p.holds_anything}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("interrupted", [None, "SIGINT"])
def test_slos_get_the_same_figures_together_and_each_alone(seed: int, interrupted: str | None) -> None:
    texts = [slo.text for slo in SLOS]
    result = result_of(*some_parts(seed), slos=texts)
    result.interrupted = interrupted
    together = judge_slos(result)
    for at in random.Random(seed).sample(range(len(texts)), 40):
        result.profile["slos"], result.slo_lines = [texts[at]], [11 + at]
        assert judge_slos(result) == [together[at]]


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """For each pool that is made of cells, the request that it is of."""
    made: list[str | None] = []
    real = coverage_module.pooled

    def noted(groups: list[Group], request: str | None, classes: tuple[int, ...]) -> Population:
        made.append(request)
        return real(groups, request, classes)

    monkeypatch.setattr(coverage_module, "pooled", noted)
    return made


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many arrivals were added to something, each time."""
    noted: list[int] = []
    add = Books.add

    def adding(books: Books, other: CellDelta | Books, classes: Iterable[int] = ()) -> None:
        noted.append(other.scheduled)
        add(books, other, classes)  # type: ignore[arg-type]  # they are a container as well

    monkeypatch.setattr(Books, "add", adding)
    return noted


def quantiles(number: int, more: str = "") -> list[Slo]:
    return [parse_slo(f"p{50 + i % 40} < {900 + i}ms{more}") for i in range(number)]


# A hundred phases, each with a fault: 200 stretches of 50 requests, of which few have arrivals.
MANY = Job(
    seed=1,
    arrivals="constant",
    phases=tuple(PhaseSpec(f"ph-{i}", "baseline", 20.0, SECOND // 10) for i in range(100)),
    faults=tuple(FaultWindow(f"f{i}", i * SECOND // 10, i * SECOND // 10 + SECOND // 20) for i in range(100)),
    requests=tuple(RequestSpec(f"r{i}", 1.0, "GET", "/") for i in range(50)),
    rows=(),
    endpoint=Endpoint("http", "127.0.0.1", 80, "127.0.0.1", "127.0.0.1"),
    client=ClientSpec(SECOND, None, 10, True, (429, 503)),
    good_within_ns=SECOND // 2,
    slice_ns=SECOND,
)
END_NS = 10 * SECOND


@pytest.fixture
def many() -> Tally:
    tally = Tally(Timeline.of(MANY), [r.name for r in MANY.requests], 1)
    cells = []
    for (slice_, segment, request), n in Schedule(MANY).counts_by_segment_and_request().items():
        cell = CellDelta(slice_, segment, request, scheduled=n, good=n, attempts=n)
        cell.counts[OK], cell.values = n, {H_OK: Sparse({10_000: n}, 10_000 * n, 10_000)}
        cells.append(cell)
    tally.add(Frame(0, 0, END_NS, cells, final=True))
    return tally


def test_groups_of_a_tally_are_those_of_its_cells(many: Tally) -> None:
    for end_ns in (0, 1, 3_333_333_333, END_NS):
        cells, groups = many.populations(end_ns), many.groups(end_ns)
        found = {(g.phase, g.faults): (g.seconds, set(g.requests), g.filled) for g in groups.all}
        assert found == {(g.phase, g.faults): (g.seconds, g.requests, g.filled) for g in Groups.of(cells).all}
    assert len(cells) == 10_000
    assert sum(len(g.filled) for g in groups.all) <= 200


def test_slos_on_the_same_arrivals_share_a_pool_of_the_cells_that_hold_any(
    many: Tally, pools: list[str | None], added: list[int]
) -> None:
    slos = [
        *quantiles(60),
        parse_slo("error rate < 1%"),
        parse_slo("goodput > 1/s"),
        *quantiles(5, " for r1"),
    ]
    groups = many.groups(END_NS)
    added.clear()
    figures = judge_groups(slos, groups, ())
    assert [f.samples for f in figures[-7:-5]] == [200, 200]
    assert pools == [None, None, "r1"]  # of quantiles, of what needs no times, and of a request
    assert len(added) <= 3 * 200
    assert all(added)


def test_what_ends_a_run_shares_pools_as_well_and_adds_up_the_plan_once(
    many: Tally, pools: list[str | None], added: list[int]
) -> None:
    slos = [parse_slo(f"p{50 + i} < {900 + i}ms abort") for i in range(40)]
    planned = Schedule(MANY).counts_by_segment_and_request()
    watch = AbortWatch.of(slos, Timeline.of(MANY), [r.name for r in MANY.requests], planned)
    added.clear()
    for turn in (1, 2, 3):
        assert watch.check(many, END_NS) is None
        assert len(pools) == turn + 1
        assert len(added) <= (2 * turn + 1) * 200  # once to be grouped, and once to be pooled


def test_a_result_is_summed_up_and_judged_without_a_look_at_each_cell_for_each_phase(
    monkeypatch: pytest.MonkeyPatch, many: Tally, added: list[int]
) -> None:
    parts = result_parts(many, END_NS, 10.0)
    # Each arrival twice to be grouped; then in all, by phase and by request.
    assert len(added) <= 200 + 5 * 200
    result = result_of(slos=[slo.text for slo in quantiles(60)])
    parts.put_into(result)
    added.clear()
    asked: list[Slo] = []
    of = Coverage.of

    def noted(coverage: Coverage, slo: Slo) -> list[Group]:
        asked.append(slo)
        return of(coverage, slo)

    monkeypatch.setattr(Coverage, "of", noted)
    case = Case.of(result)
    assert invalidities(case) == []
    assert len(asked) == 60
    assert judge_slos(result)[0].samples == 200
    assert len(added) <= 200


def test_send_lag_is_judged_at_the_highest_quantile_of_the_slos_on_a_phase() -> None:
    """One on a fault counts in the phases in which it was planned; another request's not at all."""
    late = [30_000] + [100] * 199  # p99 is 0.1 ms, p99.9 30 ms
    parts = [
        Part("baseline", ok=late, lag=late),
        Part("spike", ("slow",), ok=late, lag=late),
        Part("recovery", request="checkout", ok=late, lag=late),
        Part("recovery", ("cut",), "browse", ok=late, lag=late),
    ]

    def told(*slos: str) -> list[str]:
        case = Case.of(result_of(*parts, slos=slos))
        return [text.split(":")[0] for text in invalidities(case)]

    assert told("p99 < 1s") == []
    everywhere = [f"the generator was late in {phase}" for phase in ("baseline", "spike", "recovery")]
    assert told("p99.9 < 1s") == everywhere
    assert told("p99.9 < 1s during slow") == everywhere[1:2]
    assert told("p99.9 < 1s during baseline", "p99.9 < 1s during cut") == [everywhere[0], everywhere[2]]
    assert told("p99.9 < 1s for checkout") == everywhere[2:]
