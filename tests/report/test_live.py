from __future__ import annotations

import io
import math
import re
import threading
from dataclasses import replace

import pytest
from little_terminal import LittleTerminal
from report_samples import HOSTILE
from report_snapshots import STAGE, active, slos, snapshot
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from loadtool.report.axis import GUTTER, TimeAxis
from loadtool.report.live import LiveView, suits
from loadtool.report.live_frame import HINT, frame
from loadtool.report.live_picture import Pictures
from loadtool.report.now import Now
from loadtool.report.stage import Bar, Stage

SIZES = [(80, 24), (140, 40), (60, 24), (50, 20), (40, 10), (100, 30), (200, 60)]


def at(t: float, width: int = 80, height: int = 24, stage: Stage = STAGE, notice: str = "") -> list[str]:
    now = Now(stage, snapshot(t), active(t), slos(t), notice)
    return [line.plain for line in frame(now, width, height, Pictures())]


def console(width: int = 80, height: int = 24, *, color: bool = True) -> Console:
    return Console(
        file=io.StringIO(),
        force_terminal=True,
        width=width,
        height=height,
        color_system="standard" if color else None,
        no_color=not color,
        _environ={},
    )


def written(c: Console) -> str:
    assert isinstance(c.file, io.StringIO)
    return c.file.getvalue()


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("t", [0.0, 0.3, 5.0, 36.5, 73.9, 74.0, 90.0])
def test_a_frame_has_the_lines_of_the_terminal_and_none_is_wider(t: float, width: int, height: int) -> None:
    lines = at(t, width, height)
    assert len(lines) == height
    assert max(cell_len(line) for line in lines) <= width


@pytest.mark.parametrize(("width", "height"), [(w, h) for w in (1, 5, 20) for h in (1, 2, 5)])
def test_even_an_absurd_terminal_gets_its_frame(width: int, height: int) -> None:
    lines = at(36.0, width, height)
    assert len(lines) == height
    assert max(cell_len(line) for line in lines) <= width


def test_eighty_by_twenty_four() -> None:
    lines = [line.rstrip() for line in at(36.0)]
    assert lines[0] == "checkout-10x  → http://127.0.0.1:8080                             spike (3 of 4)"
    assert lines[1].endswith("  49%      36s of 1m14s      38s left")
    assert lines[2] == "spike at 500/s,  8s left, then recovery · slow-store in place, 3s left"
    assert lines[3].startswith("    600/s┤")
    assert lines[8].startswith("   p99≤1s ▁▁▁▁")
    assert lines[9].startswith("p50≤250ms ▁▁▁▁")
    assert lines[12] == "         │wa…│baseline              │spike        │recovery"
    assert lines[13].endswith("█████ slow-store")
    assert lines[15:] == [
        "          ─ offered      █ ok    ▒ shed  × errors       p50       p99 in flight",
        "now           500/s     445/s      40/s      15/s    230 ms    920 ms       115",
        "so far        4,800     4,615       155        30",
        "sending   lag p99 0.310 ms   waiting       0   connections      10",
        "✓ p95 < 250ms during baseline                  31 ms   29 – 33.4 ms",
        "✓ error rate < 1%                             0.758%   0.590 – 0.940%",
        "✓ p99 < 1s during slow-store for checkout     920 ms   870 – 980 ms",
        "✓ shed p99 < 50ms                            3.90 ms   3.10 – 4.40 ms",
        HINT,
    ]


def test_a_wide_terminal_shows_each_phase_and_the_slos_beside_the_figures() -> None:
    lines = [line.rstrip() for line in at(36.0, 140, 40)]
    slo = "p99 < 1s during slow-store for checkout     920 ms"
    assert lines[-10:-2] == [
        "          ─ offered      █ ok    ▒ shed  × errors       p50       p99 in flight"
        "    SLOs so far   ✓ 4",
        "now           500/s     445/s      40/s      15/s    230 ms    920 ms       115"
        "    ✓ p95 < 250ms during baseline                  31 ms",
        "warmup          100       100         0         0     13 ms     52 ms"
        "              ✓ error rate < 1%                             0.758%",
        f"baseline      1,200     1,200         0         0     13 ms     52 ms              ✓ {slo}",
        "spike         3,500     3,315       155        30    230 ms    920 ms"
        "              ✓ shed p99 < 50ms                            3.90 ms",
        "recovery",
        "so far        4,800     4,615       155        30",
        "sending   lag p99 0.310 ms   waiting       0   connections      10",
    ]


def test_a_fault_that_comes_again_has_one_lane_and_its_present_end() -> None:
    bars = tuple(Bar("slow-store", t, t + 5.0) for t in (10.0, 34.0, 60.0))
    lines = at(36.0, stage=replace(STAGE, faults=bars))
    assert [line for line in lines if "slow-store  " in line and "█" in line] == [lines[13]]
    assert lines[2].endswith("· slow-store in place, 3s left")
    assert at(45.0, stage=replace(STAGE, faults=bars))[2].endswith("· slow-store comes in 15s")


def test_more_faults_than_lanes_share_the_last_one() -> None:
    stage = replace(STAGE, faults=tuple(Bar(f"fault-{i}", 10.0 * i, 10.0 * i + 5) for i in range(1, 7)))
    lanes = [line for line in at(36.0, stage=stage) if "███" in line and "fault" in line]
    assert [name for line in lanes for name in re.findall(r"fault-\d|\d more faults", line)] == [
        "fault-1",
        "fault-2",
        "4 more faults",
    ]


@pytest.mark.parametrize(
    ("width", "told"),
    [
        (80, "spike at 500/s,  8s left, then recovery · slow-store in place, 3s left"),
        (60, "spike at 500/s,  8s left · slow-store in place, 3s left"),
    ],
)
def test_what_goes_on_is_told_in_the_room_that_there_is(width: int, told: str) -> None:
    assert at(36.0, width)[2] == told


def test_the_end_of_the_load_is_told() -> None:
    assert at(75.0)[2].startswith("all of the load is sent, ")


def test_load_that_goes_on_after_the_plan_is_told_while_it_may_be_needed() -> None:
    stage = replace(STAGE, beyond=(Bar("50% of baseline", 74.0, 104.0), Bar("10% of baseline", 104.0, 134.0)))
    lines = at(75.0, stage=stage)
    assert lines[0].endswith(" 50% of baseline")
    assert lines[1].endswith(" 100%    1m14s of 1m14s  last answers"), "the axis ends where the plan does"
    assert lines[2] == "50% of baseline goes on while the last answers are awaited · no fault any more"
    assert at(135.0, stage=stage)[2].startswith("all of the load is sent, ")
    assert at(73.0, stage=stage) == at(73.0), "before, it is not spoken of"


def places(lines: list[str]) -> list[tuple[int, str]]:
    """Where each row stands, by its label."""
    labels = ("now", "so far", "sending", "         └", "         │wa")
    return [(i, label) for i, line in enumerate(lines) for label in labels if line.startswith(label)]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (140, 40)])
def test_nothing_jumps_while_the_run_lasts(width: int, height: int) -> None:
    first = at(0.0, width, height)
    for t in (3.0, 12.5, 30.0, 36.0, 38.0, 45.0, 73.0, 80.0):
        lines = at(t, width, height)
        assert places(lines) == places(first)
        for label in ("now", "so far", "sending"):
            then, now = (next(line for line in ls if line.startswith(label)) for ls in (first, lines))
            assert len(then[:82]) == len(now[:82])  # beyond are SLOs
        for slo in STAGE.slos:
            assert len({line.index(slo) for ls in (first, lines) for line in ls if slo in line}) == 1


def test_the_cursor_stands_where_we_are() -> None:
    for t in (0.0, 36.0, 73.0):
        rows = [line for line in at(t) if "┃" in line]
        assert rows
        assert {line.index("┃") for line in rows} == {GUTTER + TimeAxis(74.0, 80).column(t)}
    assert not [line for line in at(80.0) if "┃" in line]


def test_what_was_ok_fills_the_plan_up_to_the_cursor() -> None:
    lowest = next(line for line in at(36.0, 140, 40) if line.startswith("      0/s"))
    cursor = lowest.index("┃")
    assert set(lowest[GUTTER : cursor - 2]) <= set("▁▂▃▄▅▆▇█")
    assert not set(lowest[cursor + 1 :]) & set("▁▂▃▄▅▆▇█")


def test_a_tall_terminal_shows_response_times_too() -> None:
    assert any("of response time" in line for line in at(36.0, 140, 40))
    assert any("∞" in line for line in at(39.0, 140, 40))
    assert not any("of response time" in line for line in at(36.0))


def test_slos_wait_for_their_first_sample() -> None:
    early = [line for line in at(7.0) if "p99 < 1s during slow-store" in line]
    assert early[0].rstrip() == "· p99 < 1s during slow-store for checkout"


@pytest.mark.parametrize(("n", "last"), [(3, "slo 2"), (60, "and ")])
def test_more_slos_than_lines_are_counted(n: int, last: str) -> None:
    stage = replace(STAGE, slos=tuple(f"slo {i}" for i in range(n)))
    lines = at(36.0, 80, 24, stage)
    shown = [line for line in lines if re.match(r"· slo \d+", line)]
    more = next((re.search(r"and (\d+) more SLOs", line) for line in lines if "more SLO" in line), None)
    assert len(shown) + (int(more[1]) if more else 0) == n
    assert lines[0].startswith("checkout-10x")
    assert any(line.startswith("now") for line in lines)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"workers": 2, "workers_alive": 1}, "1 of 2 workers lost: the run is invalid"),
        ({"local": {"EMFILE": 4}}, "this machine ran out of EMFILE: the run is invalid"),
        ({"waiting": 1200}, "1,200 arrivals waiting for a connection (client.connections)"),
        ({}, HINT),
    ],
)
def test_the_last_line_tells_what_is_wrong(change: dict[str, object], told: str) -> None:
    now = Now(STAGE, replace(snapshot(36.0), **change))  # type: ignore[arg-type]  # fields of a Snapshot
    assert frame(now, 80, 24, Pictures())[-1].plain == told


def test_a_notice_goes_before_everything() -> None:
    assert at(36.0, notice="ending the run\x1b[2J")[-1] == "ending the run\\e[2J"


@pytest.mark.parametrize(
    ("t", "told"),
    [
        (20.0, "baseline at  50/s,  9s left, then spike · slow-store comes in 14s"),
        (36.0, "spike at 500/s,  8s left, then recovery · slow-store in place, 3s left"),
        (40.0, "spike at 500/s,  4s left, then recovery · no fault any more"),
    ],
)
def test_faults_are_announced_and_counted_down(t: float, told: str) -> None:
    assert at(t)[2] == told


def test_a_run_without_faults_curve_and_slos() -> None:
    lines = at(36.0, stage=Stage("a", "b", (Bar("only", 0.0, 74.0),)))
    assert len(lines) == 24
    assert lines[2] == "only,   38s left"


def test_infinite_quantiles_are_told() -> None:
    now = Now(STAGE, replace(snapshot(38.0), p99_ms=math.inf), ["slow-store"])
    (row,) = [line.plain for line in frame(now, 80, 24, Pictures()) if line.plain.startswith("now")]
    assert row[61:69] == "    ∞   ", "in the column of p99, where its numbers end"


def test_names_of_a_target_cannot_touch_the_screen() -> None:
    stage = Stage(HOSTILE, HOSTILE, (Bar(HOSTILE, 0.0, 40.0),), (Bar(HOSTILE, 1.0, 2.0),), slos=(HOSTILE,))
    now = Now(stage, snapshot(1.5), [HOSTILE], notice=HOSTILE)
    assert all(line.plain.isprintable() for line in frame(now, 80, 24, Pictures()))


def test_the_screen_is_taken_and_given_back() -> None:
    c = console()
    with LiveView(c) as view:
        view.begin(STAGE)
        view.update(snapshot(36.0), active(36.0), slos(36.0))
        view.notice("interrupted")
    text = written(c)
    assert text.startswith("\x1b[?1049h")
    assert text.rstrip().endswith("\x1b[?1049l")
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1
    terminal = LittleTerminal(80, 24)
    terminal.write(text)
    assert terminal.lines[0].rstrip().endswith("spike (3 of 4)")
    assert terminal.lines[-1].rstrip() == "interrupted"


def test_the_screen_is_given_back_when_the_run_breaks() -> None:
    c = console()
    view = LiveView(c)

    def run() -> None:
        with view:
            view.begin(STAGE)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        run()
    view.end()
    assert written(c).count("\x1b[?1049l") == 1


def test_notices_outside_the_view_are_lines() -> None:
    c = console(color=False)
    view = LiveView(c)
    view.notice("setup: make\x1b[2J")
    view.begin(STAGE)
    view.update(snapshot(1.0))
    view.end()
    view.notice("teardown: make clean")
    first, rest = written(c).split("\x1b[?1049h")
    assert first == "setup: make\\e[2J\n"
    assert rest.split("\x1b[?1049l")[1].endswith("teardown: make clean\n")
    assert "setup" not in rest


def test_the_next_of_several_loads_goes_on_with_the_screen_and_with_what_was_said() -> None:
    c = console()
    terminal = LittleTerminal(80, 24)
    with LiveView(c) as view:
        view.begin(STAGE)
        view.update(snapshot(36.0), active(36.0), slos(36.0))
        view.notice("step 2: 80/s for 10 s")
        view.begin(replace(STAGE, name="the second"))
        view.update(snapshot(0.0))
        terminal.write(written(c))
    assert written(c).count("\x1b[?1049h") == 1
    assert terminal.lines[0].startswith("the second")
    assert terminal.lines[-1].rstrip() == "step 2: 80/s for 10 s"


def test_a_notice_does_not_wait_for_a_terminal_that_has_stopped_reading() -> None:
    class Stopped(io.StringIO):
        """Takes nothing while `go` is not set."""

        go = threading.Event()
        asked = threading.Event()

        def write(self, text: str) -> int:
            self.asked.set()
            assert self.go.wait(60)
            return super().write(text)

    c = console()
    view = LiveView(c)
    view.begin(STAGE)
    c.file = stopped = Stopped()
    drawing = threading.Thread(target=view.update, args=(snapshot(36.0),))
    drawing.start()
    assert stopped.asked.wait(60)
    view.notice("interrupted")
    stopped.go.set()
    drawing.join(60)
    view.update(snapshot(36.25))
    view.end()
    assert "interrupted" in stopped.getvalue()


def test_a_terminal_that_changes_its_size_gets_frames_of_its_size() -> None:
    c = console(140, 40)
    terminal = LittleTerminal(140, 40)
    with LiveView(c) as view:
        view.begin(STAGE)
        read = 0
        for width, height in ((140, 40), (80, 24), (50, 20), (20, 5), (200, 60)):
            c.size = (width, height)
            terminal.resize(width, height)
            view.update(snapshot(36.0), active(36.0), slos(36.0))
            terminal.write(written(c)[read:])
            read = len(written(c))
            assert [line.rstrip() for line in terminal.lines] == [
                line.rstrip() for line in at(36.0, width, height)
            ]


def test_no_color_is_honoured() -> None:
    def colours(c: Console) -> set[str]:
        view = LiveView(c)
        view.begin(STAGE)
        view.update(snapshot(36.0), active(36.0), slos(36.0))
        view.end()
        codes = {n for m in re.findall(r"\x1b\[([0-9;]*)m", written(c)) for n in m.split(";")}
        return {n for n in codes if n and (30 <= int(n) <= 38 or int(n) == 90)}

    assert colours(console())
    assert not colours(console(color=False))


@pytest.mark.parametrize(
    ("more", "size", "good"),
    [
        ({}, (80, 24), True),
        ({}, (39, 24), False),
        ({}, (80, 9), False),
        ({"force_terminal": False}, (80, 24), False),
        ({"_environ": {"TERM": "dumb"}}, (80, 24), False),
    ],
)
def test_a_live_view_suits_terminals_that_can_show_it(
    more: dict[str, object], size: tuple[int, int], good: bool
) -> None:
    settings: dict[str, object] = {"force_terminal": True, "_environ": {"TERM": "xterm"}, **more}
    c = Console(file=io.StringIO(), width=size[0], height=size[1], **settings)  # type: ignore[arg-type]  # see above
    assert suits(c) == good


def test_pictures_are_drawn_once_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    real = Pictures._draw

    def count(self: Pictures, now: Now, axis: TimeAxis, height: int) -> list[Text]:
        drawn.append(now.t)
        return real(self, now, axis, height)

    monkeypatch.setattr(Pictures, "_draw", count)
    pictures = Pictures()
    for t in (36.0, 36.25, 36.5, 36.75, 37.0):
        frame(Now(STAGE, snapshot(t)), 80, 24, pictures)
    assert drawn == [36.0, 37.0]
