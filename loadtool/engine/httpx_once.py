"""One exchange over the transport `httpx`, kept whole: what `exchange` is for the reactor."""

from __future__ import annotations

import ssl
from time import monotonic_ns as clock

import trio

from loadtool.engine.addresses import resolve
from loadtool.engine.connection import Arrival
from loadtool.engine.dialler import Dialler
from loadtool.engine.encoder import encode
from loadtool.engine.exchange import Exchange, judged, readable
from loadtool.engine.failures import LOCAL, NOT_NOW
from loadtool.engine.httpx_exchange import Exchange as Try
from loadtool.engine.httpx_failures import REFUSED, blame
from loadtool.engine.httpx_links import Links
from loadtool.engine.httpx_network import Network
from loadtool.engine.ledger import Ledger
from loadtool.engine.pace import Pace
from loadtool.engine.poller import new_poller
from loadtool.errors import SetupError
from loadtool.measure.outcome import CONNECT, DNS, H_CONNECT, H_TLS, OUTCOMES, TIMEOUT, UNSENT
from loadtool.measure.recorder import Cell
from loadtool.plan.expect import Expectation
from loadtool.plan.job import ClientSpec, Endpoint
from loadtool.plan.message import Message

_CODES = {LOCAL: CONNECT, NOT_NOW: CONNECT, REFUSED: UNSENT}  # as there is no run that they make invalid


async def exchange(
    message: Message,
    endpoint: Endpoint,
    client: ClientSpec,
    expectation: Expectation,
    tls: ssl.SSLContext | None = None,
) -> Exchange:
    """Send `message` over a connection of its own and read the answer; never raises for what the target does.

    `tls` is wanted for https. The profile's timeout bounds all of it.
    """
    data = encode(message, endpoint, keepalive=client.keepalive)
    done = Exchange(data.replace(b" HTTP/1.1\r\n", b" HTTP/2\r\n", 1) if client.http2 else data)
    began = clock()
    with trio.move_on_after(client.timeout_ns / 1e9):
        await _look_up_and_send(done, data, message.method == "HEAD", endpoint, client, expectation, tls)
    if not done.outcome:
        done.outcome = OUTCOMES[TIMEOUT]
        done.detail = f"no whole answer within {client.timeout_ns / 1e9:g} s"
    done.total_ms = (clock() - began) / 1e6
    return done


async def _look_up_and_send(
    done: Exchange,
    data: bytes,
    no_body: bool,
    endpoint: Endpoint,
    client: ClientSpec,
    expectation: Expectation,
    tls: ssl.SSLContext | None,
) -> None:
    near = client.proxy or endpoint
    began = clock()
    try:
        addresses = await resolve(near.host, near.port)
    except SetupError as e:
        done.outcome, done.detail = OUTCOMES[DNS], str(e)
        return
    done.dns_ms = (clock() - began) / 1e6
    poller = new_poller(1)
    network = Network(
        addresses,
        Dialler(addresses, poller, source=client.source),
        server_name=endpoint.server_name,
        http2=client.http2,
        proxied=client.proxy is not None,
    )
    links = Links(network, endpoint, client, tls, limit=1, pace=Pace())
    now = clock()
    arrival = Arrival(now, now + client.timeout_ns, 0, Cell((0, 0, 0), True), data)
    ledger = Ledger(names=[""], expectations=[expectation], shed=(), good_within_ns=0, start_ns=now)
    attempt = Try(
        arrival,
        links.fresh(),
        now,
        ledger=ledger,
        url=links.url,
        proxied=network.proxied,
        later=lambda link: None,
    )
    try:
        await attempt.run(no_body=no_body, keep_body=True)
        done.outcome, done.detail = judged(attempt.answer, client, expectation)
    except Exception as e:
        failure = blame(e, attempt.scene)
        done.outcome, done.detail = OUTCOMES[_CODES.get(failure.outcome, failure.outcome)], failure.detail
    finally:
        done.address = str(network.tried or "")
        done.detail = done.detail.removeprefix(f"{done.address}: ")
        _read_off(done, attempt)
        links.close()
        poller.close()


def _read_off(done: Exchange, attempt: Try) -> None:
    """What there is to tell of it, however far it came."""
    cell, stream, answer = attempt.arrival.cell, attempt.link.stream, attempt.answer
    done.connect_ms = cell.sums[H_CONNECT] / 1e3 or None
    done.tls_ms = cell.sums[H_TLS] / 1e3 or None
    done.tls = stream.tls if stream is not None else ""
    if attempt.heard:
        done.first_byte_ms = (attempt.first - attempt.sent) / 1e6
        done.head, done.body = answer.head_text(), readable(answer)
    answer.close()
