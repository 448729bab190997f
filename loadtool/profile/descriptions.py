"""What each key of a profile is for, with an example: shown by editors on hover, and in messages."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from loadtool.profile import demo


class Help(NamedTuple):
    text: str
    example: Any


_TEMPLATE: Final = "A template."


def _method(name: str) -> Help:
    return Help(f"{name} this path. {_TEMPLATE}", "/products/{{ randint(1, 500) }}")


# Model -> key as it is written -> help.
DESCRIPTIONS: Final[dict[str, dict[str, Help]]] = {
    "Profile": {
        "name": Help("What the run is called; by default the file's name.", "checkout-10x"),
        "target": Help(
            "Base URL of the service; or unix:/PATH of the socket that it listens on; or demo, the embedded "
            "one.",
            "http://127.0.0.1:8080",
        ),
        "demo": Help(
            "How the embedded service behaves, with target: demo; as the options of `loadtool target`.",
            {"slots": 4, "queue": "unbounded"},
        ),
        "wait_for": Help(
            "Do not start before this path answers; asked after `setup` and once the proxies are there.",
            {"get": "/health", "up_to": "60s"},
        ),
        "setup": Help(
            "Commands before the load, before there are proxies and before `wait_for` asks; lines NAME=value "
            "that they print are there as ${NAME}.",
            "./fetch-token.sh",
        ),
        "teardown": Help(
            "Commands after the load, whatever came of it. One that fails is told; the verdict stays.",
            "./clean-up.sh",
        ),
        "seed": Help("The same profile and seed give the same arrivals.", 42),
        "good_within": Help(
            "An ok answer within this is goodput; by default the largest response time that an SLO at p95 "
            "or above allows, else 1s.",
            "500ms",
        ),
        "capacity": Help(
            "What the service can serve: goodput in a spike is held against it; by default against the "
            "baseline's goodput.",
            "95/s",
        ),
        "headers": Help(
            "Headers of every request, over which a request's own win. Templates. With Accept-Encoding: gzip "
            "or deflate, answers may come compressed; `expect` sees them decoded.",
            {"Authorization": "Bearer ${TOKEN}"},
        ),
        "replay": Help(
            "Send the requests of a log with their gaps, instead of `requests` at the phases' rates. Phases, "
            "if any, then name parts of the replay by `for` alone; without them all of it is one baseline.",
            {"file": "access.log", "speed": 2, "scale": 10},
        ),
        "requests": Help("The traffic mix.", [{"get": "/"}]),
        "data": Help("Feeders: rows for the templates, by name.", {"row": "carts.csv"}),
        "phases": Help(
            "The schedule, phase after phase.", [{"name": "baseline", "rate": "50/s", "for": "30s"}]
        ),
        "arrivals": Help(
            "poisson: independent users; constant: evenly spaced. Or a mapping, for bursts and batches: "
            "rates stay what the phases say, on average.",
            "poisson",
        ),
        "transport": Help(
            "What sends: http1, loadtool's own, the fastest; or httpx, for HTTP/2 and HTTP proxies, at a "
            "fraction of the rate.",
            "httpx",
        ),
        "client": Help("How requests are sent.", {"timeout": "2s"}),
        "proxies": Help(
            "Toxiproxy proxies that faults act on, by name.", {"store": {"upstream": "127.0.0.1:5432"}}
        ),
        "faults": Help(
            "What is done to the proxies, and when.",
            [{"name": "cut", "at": "spike+5s", "for": "5s", "proxy": "store", "down": True}],
        ),
        "probes": Help(
            "Figures that the service tells of itself, read beside the load and drawn on its time axis.",
            [{"name": "queue", "get": "/metrics", "value": "demo_queued"}],
        ),
        "steady_state": Help(
            "What holds while the service is well: asked before the run, which does not begin otherwise, "
            "during it, and after it.",
            [{"name": "health", "get": "/health", "within": "500ms"}],
        ),
        "toxiproxy": Help(
            "URL of a Toxiproxy server's API; by default the run starts one.", "http://127.0.0.1:8474"
        ),
        "slos": Help(
            "METRIC OP VALUE [in any TIME] [during PHASE-OR-FAULT] [for REQUEST]. Metrics: p99, ok p99, shed "
            "p99, service p99, max, mean, error rate, shed rate, goodput, rate; of a spike: goodput "
            "retention, end retention, honest rejection, recovery, hysteresis, retry amplification, latency "
            "growth. As {slo: …, abort: true} it ends a run that can no longer pass.",
            ["p99 < 250ms during spike"],
        ),
        "validity": Help("When a run may not be trusted.", {"lag": "10ms"}),
        "allow_hosts": Help(
            "Hosts beyond loopback and private networks that may be loaded.", ["staging.example.com"]
        ),
    },
    "WaitFor": {
        "get": Help("Path that must answer with 2xx.", "/health"),
        "up_to": Help("Give up after this long.", "60s"),
    },
    "Request": {
        "name": Help("How reports and SLOs call it; by default method and path.", "checkout"),
        "weight": Help("Share of the arrivals, relative to the other requests.", 8),
        **{m: _method(m.upper()) for m in ("get", "head", "post", "put", "patch", "delete", "options")},
        "query": Help("Query parameters; a list repeats one. Templates.", {"page": 1}),
        "headers": Help("Headers of this request, over the profile's. Templates.", {"Accept": "*/*"}),
        "json": Help(
            "JSON body. Texts are templates; a lone expression keeps its type.",
            {"quantity": "{{ randint(1, 5) }}"},
        ),
        "form": Help("Body as an HTML form sends it. Templates.", {"user": "jane"}),
        "raw": Help(f"Body as it stands. {_TEMPLATE}", "plain text"),
        "multipart": Help(
            "multipart/form-data body: text parts, which are templates, and files beside the profile.",
            {"photo": {"file": "photo.png", "type": "image/png"}},
        ),
        "expect": Help("What an answer must be to count as ok.", {"status": 200, "contains": "ok"}),
    },
    "Expect": {
        "status": Help("Statuses that are ok; by default 200 to 399.", [200, 201]),
        "contains": Help("Text that the body must contain, all of it if several.", "ok"),
        "matches": Help("Regular expressions to be found in the body, all of them if several.", "id: [0-9]+"),
    },
    "DataSource": {
        "file": Help(
            "CSV file with a header line, or JSONL file of objects, relative to the profile.", "carts.csv"
        ),
        "order": Help(
            "cycle: in order, again and again; shuffle: each pass in another order; once: each row once.",
            "cycle",
        ),
    },
    "Replay": {
        "file": Help("The log, relative to the profile; one that ends in .gz is unpacked.", "access.log"),
        "format": Help(
            "combined: nginx's and Apache's, or common; json: an object a line; csv: with a header line.",
            "combined",
        ),
        "speed": Help("How much faster than recorded: 2 takes half the time.", 2),
        "scale": Help(
            "Arrivals for each recorded request: copies are spread over the time to the next one; below 1 "
            "that share of the requests is sent.",
            10,
        ),
        "fields": Help(
            "What a JSON or CSV log calls time, method, path, request, status, headers and body, where that "
            "can't be guessed.",
            {"time": "when", "path": "uri"},
        ),
        "bodies": Help(
            "Bodies for requests whose own was not recorded, by method or by name as the plan shows it; "
            "without one, POST, PUT and PATCH are left out.",
            {"POST /checkout": '{"cart": 1}'},
        ),
        "broken": Help("The share of the log's lines that may be broken.", "1%"),
        "expect": Help("What every answer must be to count as ok.", {"status": [200, 301, 404]}),
    },
    "Arrivals": {
        "process": Help("poisson: independent users; constant: evenly spaced.", "poisson"),
        "burst": Help(
            "All arrivals of each cycle come in its first part, at a rate so much higher that the mean is "
            "the phase's. Cycles begin with the phase.",
            {"on": "2s", "off": "8s"},
        ),
        "batch": Help("So many arrivals at the same instant, and pauses so much longer.", 50),
    },
    "Burst": {
        "on": Help("How long arrivals come.", "2s"),
        "off": Help("How long none come then.", "8s"),
    },
    "Phase": {
        "name": Help(
            "How reports, faults and SLOs call it. warmup, baseline, spike and recovery are roles as well.",
            "spike",
        ),
        "rate": Help("Arrivals; a bare number is per second. Not with `replay`.", "50/s"),
        "for": Help("How long the phase lasts.", "30s"),
        "ramp": Help("Reach the rate over so long from the rate before, inside `for`.", "1s"),
        "double_every": Help("The rate doubles every so long, beginning at `rate`.", "7m"),
        "arrivals": Help(
            "How this phase's arrivals are spread in time, instead of the profile's `arrivals`.",
            {"burst": {"on": "2s", "off": "8s"}},
        ),
        "role": Help("What the phase is for; by default its name if that is a role, else baseline.", "spike"),
    },
    "Client": {
        "timeout": Help("Of each attempt, from when it was due; expiry closes the connection.", "2s"),
        "deadline": Help("Of each arrival, from when it was due.", "10s"),
        "connections": Help(
            "Most connections at a time, in the whole run; past it, attempts queue and the wait counts. Or a "
            "mapping of max and per_second.",
            1000,
        ),
        "keepalive": Help("Use a connection for more than one request.", True),
        "reconnect": Help(
            "When all connections are closed and opened again, as after a restart of what lies between: a "
            "phase, phase+offset, an offset from the start, or a list of them.",
            "spike+5s",
        ),
        "source": Help(
            "IP address of this machine that connections leave from, or a list of which they take turns.",
            "10.0.0.5",
        ),
        "tls": Help("Certificates and their checks, for an https target.", {"ca": "ca.pem"}),
        "http2": Help(
            "Speak HTTP/2 and nothing else, one request at a time on each connection; without TLS, by prior "
            "knowledge. Needs transport: httpx.",
            True,
        ),
        "proxy": Help(
            "URL of the HTTP proxy to go through, by CONNECT to an https target. Needs transport: httpx.",
            "http://127.0.0.1:3128",
        ),
        "shed": Help("Statuses with which the service says no politely.", [429, 503]),
        "retries": Help(
            "How what came to nothing is sent again: a policy, or a mapping.",
            {"policy": "full-jitter", "max": 3, "base": "100ms", "cap": "2s", "budget": "10%"},
        ),
        "throttle": Help(
            "adaptive: clients hold back by themselves while the service turns most of them away.", "adaptive"
        ),
        "trace": Help(
            "Send a W3C traceparent header with each attempt; the report names the traces of the slowest "
            "arrivals.",
            True,
        ),
    },
    "Retries": {
        "policy": Help(
            "none; immediate; exponential: base, 2 × base, 4 × base …; full-jitter: anything up to that; "
            "decorrelated-jitter: from base to three times the last delay.",
            "full-jitter",
        ),
        "max": Help("Most attempts after the first.", 3),
        "base": Help("The first delay.", "100ms"),
        "cap": Help("The longest delay.", "2s"),
        "on": Help(
            "Outcomes after which another attempt follows: shed, status, check, timeout, unsent, connect, "
            "tls, dns, reset, protocol.",
            ["shed", "timeout", "connect", "reset"],
        ),
        "budget": Help(
            "Most retries in the whole run, as a share of the arrivals; or a mapping of that and a minimum, "
            "or of a bucket of tokens; or none.",
            "10%",
        ),
        "retry_after": Help(
            "obey: wait at least as long as an answer's Retry-After asks for; or ignore it.", "obey"
        ),
    },
    "Budget": {
        "share": Help("Retries as a share of the arrivals of the last ten seconds.", "10%"),
        "min": Help("Retries allowed besides, so that few arrivals can be tried again, too.", "1/s"),
        "tokens": Help(
            "A failed attempt takes a token, a success puts `ratio` of one back, and nothing is tried again "
            "unless more than half of them are left.",
            10,
        ),
        "ratio": Help("Tokens that a success puts back.", 0.1),
    },
    "Throttle": {
        "policy": Help("adaptive; or none.", "adaptive"),
        "k": Help("Clients hold back past so many requests for each that was accepted.", 2),
        "window": Help("Time over which both are counted; by default a tenth of the run, at most 2m.", "2m"),
    },
    "Demo": {key: Help(*row) for key, row in demo.HELP.items()},
    "Connections": {
        "max": Help("Most connections at a time, in the whole run.", 1000),
        "per_second": Help("Most new connections in a second, in the whole run.", "50/s"),
    },
    "Tls": {
        "ca": Help(
            "PEM file of the authorities to trust instead of the system's, relative to the profile.", "ca.pem"
        ),
        "cert": Help(
            "PEM file of the certificate to show to the service, with its chain, relative to the profile; "
            "its key may be in it.",
            "client.pem",
        ),
        "key": Help("PEM file of the certificate's private key, without a passphrase.", "client.key"),
        "verify": Help("Whether the service's certificate must be valid and of its name.", True),
    },
    "Proxy": {
        "upstream": Help(
            "HOST:PORT as the Toxiproxy server sees it; or target: the load itself goes through this proxy; "
            "or demo.store, what the demo service depends on.",
            "127.0.0.1:5432",
        ),
        "listen": Help(
            "HOST:PORT where the proxy listens, as the Toxiproxy server sees it; by default any free port.",
            "127.0.0.1:15432",
        ),
        "existing": Help(
            "Name of a proxy that the server has already and the service is wired to.", "postgres"
        ),
    },
    "Gauge": {
        "name": Help("How reports call it; by default its value.", "queue"),
        "get": Help("Path of the target, or a URL, to read it from; `front` is not on the way.", "/metrics"),
        "value": Help(
            "Which number: the name of a metric in Prometheus text, with or without labels (the sum of what "
            "fits), or the dotted path of a number in JSON.",
            "demo_queued",
        ),
        "every": Help("How often, at least 100ms.", "1s"),
    },
    "Check": {
        "name": Help("How reports call it; by default what it asks.", "health"),
        "get": Help("Path of the target, or a URL, that must answer; `front` is not on the way.", "/health"),
        "tcp": Help("HOST:PORT that must take a connection.", "127.0.0.1:5432"),
        "status": Help("Statuses that are well; by default 200 to 299.", 200),
        "within": Help("A later answer counts as none; without it, one within 5s will do.", "500ms"),
    },
    "Fault": {
        "name": Help("How reports and SLOs call it.", "slow-store"),
        "at": Help("When: a phase, phase+offset, an offset from the start, or a list of them.", "spike+5s"),
        "for": Help("For how long; by default to `until`, or to the end of the run.", "5s"),
        "until": Help(
            "When it ends, or with `every` its repeats do: end of PHASE, phase+offset, or an offset from the "
            "start; by default the end of the run.",
            "end of spike",
        ),
        "every": Help(
            "Again and again, so long from one beginning to the next, while a whole `for` fits before "
            "`until` or the end of the run.",
            "10s",
        ),
        "proxy": Help("Which of `proxies`, for a toxic and for down.", "store"),
        "run": Help(
            "A command, for what a proxy can't do: text for the shell, or a list of program and arguments. "
            "If it still runs when the fault ends, it is ended.",
            "docker stop db",
        ),
        "undo": Help(
            "The command that takes back what `run` did, when the fault ends and whatever becomes of the "
            "run. It is ended 15 s after the load, or after its start if that is later. "
            "`loadtool chaos recover` runs it after a kill, so it may hold no secret: write $NAME, "
            "which the shell looks up, not ${NAME}.",
            "docker start db",
        ),
        "toxic": Help(
            "What is done to the proxy's traffic; the toxic's attributes stand beside it.", "latency"
        ),
        "down": Help("Cut every connection and refuse new ones.", True),
        "stream": Help("downstream: towards the client; upstream: towards the server.", "downstream"),
        "toxicity": Help("Share of the connections that are hit.", "10%"),
        "ramp": Help(
            "The toxic's attributes grow from zero to their values over so long, and no connection drops; "
            "for latency, bandwidth (from 1KB/s), slow_close and slicer (its delay).",
            "5s",
        ),
    },
    "Objective": {
        "slo": Help("METRIC OP VALUE …, as an SLO that is text.", "error rate < 5%"),
        "abort": Help("End the run as soon as it can no longer pass.", True),
        "after": Help("Not before this long from the run's start.", "10s"),
    },
    "Validity": {
        "lag": Help(
            "Most send lag at p99, or at a higher quantile that an SLO uses; past it the run is invalid.",
            "10ms",
        ),
    },
}
