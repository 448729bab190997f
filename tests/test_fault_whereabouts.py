"""A run that was killed, and one that reaches the same Toxiproxy under another name."""

from __future__ import annotations

import os
from pathlib import Path

from chaos_servers import embedded_server
from run_harness import run, running, timely
from run_service import service
from test_fault_recovery import Foreign, chaos

PROFILE = """\
target: http://127.0.0.1:{port}
requests: [{{get: /}}]
phases: [{{name: baseline, rate: 20/s, for: {lasts}}}]
proxies: {{db: {{existing: db}}}}
faults:
  - {{name: slow, at: 100ms, proxy: db, toxic: latency, latency: 5ms}}
  - {{name: cut, at: 100ms, proxy: db, down: true}}
validity: {{lag: 10s}}
"""


def test_the_next_run_takes_it_out_under_another_url(tmp_path: Path) -> None:
    with embedded_server() as url, service(tmp_path / "broken") as (port, _):
        server = Foreign(url)
        server.add("db")
        before = server.state()
        state = {"XDG_STATE_HOME": str(tmp_path / "state")}
        other = url.replace("127.0.0.1", "localhost")
        lasting, short = (PROFILE.format(port=port, lasts=lasts) for lasts in ("300s", "1s"))
        for again in ("a run", "recover"):
            with running(tmp_path, lasting, "--toxiproxy", other, **state) as live:
                live.wait_for("faults: slow, cut")
                live.kill()
            assert server.state() != before
            if again == "recover":
                assert ": taken out: " in chaos(tmp_path, "recover", "--toxiproxy", url).stdout
            else:
                done = timely(lambda: run(tmp_path, short, "--toxiproxy", url, **state))
                assert done.code == 0, done.err
            assert server.state() == before
            assert os.listdir(tmp_path / "state" / "loadtool") == []
