"""A log replayed over real sockets: what the service was asked is what the log holds."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from run_harness import run
from run_service import service


def test_every_line_arrives_as_often_as_it_should(tmp_path: Path) -> None:
    draw = random.Random(2)
    paths = [f"/p/{i}?q={draw.randint(1, 9)}" for i in range(150)]
    log = [
        f'h - - [21/Nov/2026:12:00:{i // 50:02} +0000] "GET {path} HTTP/1.1" 200 1 "-" "-"\n'
        for i, path in enumerate(paths)
    ]
    log.insert(7, 'h - - [21/Nov/2026:12:00:00 +0000] "POST /x HTTP/1.1" 200 1 "-" "-"\n')
    (tmp_path / "access.log").write_text("".join(log))
    with service(tmp_path / "broken") as (port, books):
        profile = f"target: http://127.0.0.1:{port}\nreplay: {{file: access.log, scale: 2}}\n"
        done = run(tmp_path, profile + "slos: error rate < 1%\nvalidity: {lag: 5s}\n", "--workers", "2")
        asked = [path for path, *_ in books.asked]
    assert done.code == 0, done.out + done.err
    assert Counter(asked) == Counter({path: 2 for path in paths})
    totals = done.result["totals"]
    assert (totals["scheduled"], totals["ok"]) == (300, 300)
    assert [(r["name"], r["scheduled"]) for r in done.result["requests"]] == [("GET /p/{id}", 300)]
    (phase,) = done.result["phases"]
    assert (phase["name"], phase["start_s"], phase["end_s"]) == ("replay", 0, 3)
