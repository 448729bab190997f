"""Worker: a process that sends its share of the arrivals and reports once a second.

It reads a job from stdin, answers {"ready": …} or {"error": …}, waits for {"start_ns": …} and then writes
frames to stdout until the last one (`final`). {"stop_ns": …} ends the run early. It knows arrivals, an
exchange and outcomes, and nothing about where it runs.
"""

from __future__ import annotations

import gc
import json
import os
import ssl
import sys
import time
from typing import Any, Final

import trio

from loadtool.engine.addresses import Addresses, is_name, keep_resolved, resolve
from loadtool.engine.client_ledger import ledger_of
from loadtool.engine.feed import Feed
from loadtool.engine.hosts import Guard, check_addresses
from loadtool.engine.pace import Pace
from loadtool.engine.pipes import Commands, Reports
from loadtool.engine.poller import READ, new_poller
from loadtool.engine.renderer import Renderer
from loadtool.engine.reporter import Reporter
from loadtool.engine.tls import client_context
from loadtool.engine.transports import TRANSPORTS, Parts
from loadtool.errors import LoadtoolError
from loadtool.measure.outcome import H_DNS
from loadtool.measure.recorder import Recorder
from loadtool.plan.expect import Expectation
from loadtool.plan.job import Job
from loadtool.plan.mix import Mix
from loadtool.plan.schedule import Schedule
from loadtool.plan.trace import tracer_of
from loadtool.plan.wire import job_from_json
from loadtool.processes import raise_file_limit

SHED_ROLES: Final = frozenset(("spike", "recovery"))


def share_of(total: int, worker: int, workers: int) -> int:
    """This worker's part of a total of the run, such as connections; the parts add up to it."""
    return total // workers + (1 if worker < total % workers else 0)


def peer_of(job: Job) -> str:
    """What its connections lead to, as messages call it."""
    return "target" if job.client.proxy is None else "client.proxy"


class Worker:
    """One worker's parts, put together around a job."""

    def __init__(
        self,
        worker: int,
        workers: int,
        job: Job,
        commands: Commands,
        out: int,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`out`: descriptor for the frames. `tls`: instead of the system's certificates (https only).

        What takes a while is made here, before the worker is ready: there is little time after the start.
        Raises ValueError for a job without a schedule.
        """
        self._worker = worker
        self._workers = workers
        self._job = job
        self._commands = commands
        self._out = out
        self._schedule = Schedule(job)
        self._mix = Mix(job)
        self._renderer = Renderer(self._mix, job.endpoint, keepalive=job.client.keepalive)
        self._new_transport = TRANSPORTS[job.transport]()
        self._tls = tls
        if tls is None and job.endpoint.scheme == "https":
            self._tls = client_context(job.client.tls)

    async def run(self, addresses: Addresses, start_ns: int, lookup_ns: int = 0) -> None:
        """Send everything that is due between the start and the end, or the stop.

        `lookup_ns`: how long the look-up of the target's name took, if there was one.
        """
        job = self._job
        timeline = self._schedule.timeline
        shed_segments = frozenset(
            s.index for s in timeline.segments if timeline.spans[s.phase].role in SHED_ROLES
        )
        recorder = Recorder(shed_segments)
        connections = share_of(job.client.connections, self._worker, self._workers)
        poller = new_poller(connections)
        batches = self._schedule.batches(self._worker, self._workers)
        tracer = tracer_of(job.seed, job.nonce, job.client.trace)
        feed = Feed(job, batches, self._renderer.render, self._mix, recorder, start_ns, tracer)
        expectations = [Expectation.of(r.expect) for r in job.requests]
        ledger = ledger_of(job, expectations, start_ns, self._worker, self._workers, tracer)
        transport = self._new_transport(
            Parts(
                job=job,
                addresses=addresses,
                feed=feed,
                ledger=ledger,
                poller=poller,
                expectations=expectations,
                tls=self._tls,
                connections=connections,
                pace=Pace(job.client.dials_per_s, self._worker, self._workers, start_ns),
                reconnect_at=[start_ns + ns for ns in job.client.reconnect_ns],
            )
        )
        host, port = job.peer
        guard = Guard(host, job.allow_hosts, what=peer_of(job))
        reporter = Reporter(
            self._worker,
            start_ns,
            job.slice_ns,
            timeline.duration_ns if job.planned_ns is None else job.planned_ns,
            recorder=recorder,
            feed=feed,
            ledger=ledger,
            gauges=transport.gauges,
            warnings=guard.warnings,
            reports=Reports(self._out, poller, transport.special),
        )

        def listen() -> None:
            for command in self._commands.ready():
                transport.stop_at(int(command["stop_ns"]))

        def looked_up(took_ns: int) -> None:
            """Into the books of the moment, as it belongs to no arrival."""
            at = min(max(time.monotonic_ns() - start_ns, 0), timeline.duration_ns - 1)
            cell = recorder.cell(at // job.slice_ns, timeline.segment_at(at), 0)
            cell.record(H_DNS, took_ns)
            cell.touched = True

        transport.special[self._commands.fd] = listen
        poller.register(self._commands.fd, READ)
        listen()  # what came together with the start has been read, so the poller knows nothing of it
        transport.tick_at(reporter.first_ns, reporter.tick)
        transport.before_abort(reporter.stop)
        gc.freeze()
        gc.disable()
        if lookup_ns:
            looked_up(lookup_ns)
        try:
            async with trio.open_nursery() as nursery:
                if is_name(host):
                    nursery.start_soon(keep_resolved, addresses, host, port, looked_up, guard.may_load)
                await transport.run()
                nursery.cancel_scope.cancel()
        finally:
            gc.enable()
        reporter.end(time.monotonic_ns())
        poller.close()


async def _serve(commands: Commands, out: int) -> None:
    hello: dict[str, Any] = commands.receive()
    try:
        job = job_from_json(hello["job"])
        worker = Worker(hello["worker"], hello["workers"], job, commands, out)
        began = time.monotonic_ns()
        addresses = await resolve(*job.peer)
        lookup_ns = time.monotonic_ns() - began if is_name(job.peer[0]) else 0
        # Not what the coordinator found, and checked: a name may mean something else a moment later.
        check_addresses(job.peer[0], addresses, job.allow_hosts, what=peer_of(job))
    except (LoadtoolError, ValueError) as e:
        os.write(out, json.dumps({"error": str(e)}).encode() + b"\n")
        return
    os.write(out, json.dumps({"ready": [str(a) for a in addresses]}).encode() + b"\n")
    start = commands.receive()
    if "start_ns" in start:
        await worker.run(addresses, int(start["start_ns"]), lookup_ns)


def main() -> None:
    # Whatever prints by mistake must not get between the frames.
    out = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    raise_file_limit()
    try:
        trio.run(_serve, Commands(sys.stdin.fileno()), out)
    except* (EOFError, BrokenPipeError):  # in a group, if a nursery was open
        os._exit(1)  # the coordinator is gone: nobody is left to tell


if __name__ == "__main__":
    main()
