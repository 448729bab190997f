"""When the first shed arrival was due: the one figure of overload that slices can't give."""

from __future__ import annotations

from engine_harness import MS, OK_ANSWER, answering, job_for, run_job, serving

SHED_ANSWER = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


async def test_the_due_time_of_the_first_shed_arrival_is_exact() -> None:
    # One connection, so that answers come in the order of due times: every 10 ms from 0 on.
    with serving(answering(*[OK_ANSWER] * 5, SHED_ANSWER)) as server:
        done = await run_job(job_for(server.port, count=10, rate=100, connections=1))
    assert done.outcomes == {"ok": 5, "shed": 5}
    assert done.tally.first_sheds == {0: 50 * MS}


async def test_an_error_is_no_shed() -> None:
    with serving(answering(SHED_ANSWER)) as server:
        done = await run_job(job_for(server.port, count=10, rate=100, role="baseline"))
    assert done.outcomes == {"status": 10}
    assert done.tally.first_sheds == {}
