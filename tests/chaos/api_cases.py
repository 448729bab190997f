"""Requests and answers of Toxiproxy's API, as recorded from toxiproxy-server 2.12.0.

In paths, bodies and answers {p} is a proxy that is there, {x} a name that is free, {used} an address that is
taken; $UP and $ON are fields of a proxy's body.
"""

from __future__ import annotations

UP = '"upstream":"127.0.0.1:1"'
ON = '"listen":"127.0.0.1:0"'
PROXY = '{"name":"{p}","listen":"127.0.0.1:PORT","upstream":"127.0.0.1:1","enabled":true,"toxics":[]}'
NEW = PROXY.replace("{p}", "{x}")
EVERYWHERE = NEW.replace("127.0.0.1:PORT", "[::]:PORT")
LATENCY = '{"attributes":{"latency":%s,"jitter":%s},"name":"%s","type":"latency","stream":"%s","toxicity":%s}'
JSON = "json: cannot unmarshal"
TO = "Go struct field"


def error(message: str, status: int) -> tuple[int, str]:
    return status, f'{{"error":"{message}","status":{status}}}\n'


def bad(message: str) -> tuple[int, str]:
    return error(f"bad request body: {message}", 400)


# Method, path, body, expected status and text. {p} is a proxy that is there, {x} a name that is free.
CASES: list[tuple[str, str, str | None, int, str]] = [
    ("GET", "/nope", None, 404, "404 page not found\n"),
    ("GET", "/proxies/", None, 404, "404 page not found\n"),
    ("GET", "/proxies/{p}/", None, 404, "404 page not found\n"),
    ("POST", "/version", None, 405, ""),
    ("HEAD", "/proxies", None, 405, ""),
    ("OPTIONS", "/proxies", None, 405, ""),
    ("DELETE", "/proxies", None, 405, ""),
    ("PUT", "/proxies/{p}", "{}", 405, ""),
    ("PUT", "/proxies/{p}/toxics/t", "{}", 405, ""),
    ("GET", "/reset", None, 405, ""),
    ("GET", "/populate", None, 405, ""),
    ("GET", "/proxies/{x}", None, *error("proxy not found", 404)),
    ("DELETE", "/proxies/{x}", None, *error("proxy not found", 404)),
    ("PATCH", "/proxies/{x}", "{}", *error("proxy not found", 404)),
    ("GET", "/proxies/{x}/toxics", None, *error("proxy not found", 404)),
    ("POST", "/proxies/{x}/toxics", "{}", *error("proxy not found", 404)),
    ("GET", "/proxies/{x}/toxics/t", None, *error("proxy not found", 404)),
    # Making a proxy
    ("POST", "/proxies", "", *bad("EOF")),
    ("POST", "/proxies", "{", *bad("unexpected EOF")),
    ("POST", "/proxies", '{"name": "x', *bad("unexpected EOF")),
    ("POST", "/proxies", "[]", *bad(f"{JSON} array into Go value of type toxiproxy.Proxy")),
    ("POST", "/proxies", "1", *bad(f"{JSON} number into Go value of type toxiproxy.Proxy")),
    ("POST", "/proxies", "null", *error("missing required field: name", 400)),
    ("POST", "/proxies", "{}", *error("missing required field: name", 400)),
    ("POST", "/proxies", '{"name":""}', *error("missing required field: name", 400)),
    ("POST", "/proxies", '{"name":"{x}"}', *error("missing required field: upstream", 400)),
    ("POST", "/proxies", '{"name":1}',
     *bad(f"{JSON} number into {TO} Proxy.name of type string")),
    ("POST", "/proxies", '{"enabled":"yes"}',
     *bad(f"{JSON} string into {TO} Proxy.enabled of type bool")),
    ("POST", "/proxies", '{"name":"{p}",$UP,$ON}', *error("proxy already exists", 409)),
    ("POST", "/proxies", '{"name":"{x}",$UP,$ON}', 201, NEW),
    ("POST", "/proxies", '{"NAME":"{x}","UpStream":"127.0.0.1:1","LISTEN":"localhost:0","more":1}', 201, NEW),
    ("POST", "/proxies", '{"name":"a","name":"{x}","name":null,$UP,$ON} trailing', 201, NEW),
    ("POST", "/proxies",
     '{"name":"{x}","enabled":false,"listen":"a\\ud800b","upstream":"\\ud83d\\ude00"}', 201,
     '{"name":"{x}","listen":"a\ufffdb","upstream":"😀","enabled":false,"toxics":[]}'),
    ("POST", "/proxies", '{"name":"{x}","enabled":false,$UP,"listen":"localhost:0"}', 201,
     '{"name":"{x}","listen":"localhost:0","upstream":"127.0.0.1:1","enabled":false,"toxics":[]}'),
    ("POST", "/proxies", '{"name":"{x}",$UP}', 201, EVERYWHERE),
    ("POST", "/proxies", '{"name":"{x}",$UP,"listen":"0.0.0.0:0"}', 201,
     EVERYWHERE),
    ("POST", "/proxies", '{"name":"{x}",$UP,"listen":"127.0.0.1"}',
     *error("listen tcp: address 127.0.0.1: missing port in address", 500)),
    ("POST", "/proxies", '{"name":"{x}",$UP,"listen":"127.0.0.1:99999"}',
     *error("listen tcp: address 99999: invalid port", 500)),
    *[
        ("POST", "/proxies", f'{{"name":"{{x}}",$UP,"listen":"{listen}"}}',
         *error(f"listen tcp: {message}", 500))
        for listen, message in [
            *[
                (listen, f"address {listen}: {wrong} in address")
                for listen, wrong in [
                    ("::1:0", "too many colons"), ("[::1]:x:0", "too many colons"), ("[::1]", "missing port"),
                    ("[::1]0", "missing port"), ("[[::1]]:0", "missing port"), ("[::1:0", "missing ']'"),
                    ("a[b:0", "unexpected '['"), ("a]b:0", "unexpected ']'"), ("[a[b]:0", "unexpected '['"),
                    ("a:]0", "unexpected ']'"),
                ]
            ],
            ("127.0.0.1:-1", "address -1: invalid port"),
            ("127.0.0.1:1x", "lookup tcp/1x: unknown port"),
            ("127.0.0.1:٣", "lookup tcp/٣: unknown port"),
        ]
    ],
    *[
        ("POST", "/proxies", f'{{"name":"{{x}}",$UP,"listen":"127.0.0.1:{port}"}}', 201, NEW)
        for port in ("00000000", "+0", "-0", "+", "")
    ],
    ("POST", "/proxies", '{"name":"{x}",$UP,"listen":"{used}"}',
     *error("listen tcp {used}: bind: address already in use", 500)),
    # Changing it
    ("PATCH", "/proxies/{p}", "", *bad("EOF")),
    ("PATCH", "/proxies/{p}", "{}", 200, PROXY),
    ("POST", "/proxies/{p}", '{"name":"{x}"}', 200, PROXY),
    ("PATCH", "/proxies/{p}", '{"upstream":""}', 200, PROXY.replace("127.0.0.1:1", "")),
    ("PATCH", "/proxies/{p}", '{"enabled":1}',
     *bad(f"{JSON} number into {TO} Proxy.enabled of type bool")),
    ("PATCH", "/proxies/{p}", '{"listen":"bad"}', *error("address bad: missing port in address", 500)),
    ("PATCH", "/proxies/{p}", '{"listen":"{used}"}',
     *error("listen tcp {used}: bind: address already in use", 500)),
    ("PATCH", "/proxies/{p}", '{"listen":"localhost:0"}', 200, PROXY),
    # Toxics
    ("GET", "/proxies/{p}/toxics", None, 200, "[]"),
    ("GET", "/proxies/{p}/toxics/t", None, *error("toxic not found", 404)),
    ("PATCH", "/proxies/{p}/toxics/t", "{}", *error("toxic not found", 404)),
    ("DELETE", "/proxies/{p}/toxics/t", None, *error("toxic not found", 404)),
    ("POST", "/proxies/{p}/toxics", "", *bad("EOF")),
    ("POST", "/proxies/{p}/toxics", "{}", *error("invalid toxic type", 400)),
    ("POST", "/proxies/{p}/toxics", '{"type":"LATENCY"}', *error("invalid toxic type", 400)),
    ("POST", "/proxies/{p}/toxics", '{"type":"latency","stream":"sideways"}',
     *error("stream was invalid, can be either upstream or downstream", 400)),
    ("POST", "/proxies/{p}/toxics", '{"type":"latency","stream":""}',
     *error("stream was invalid, can be either upstream or downstream", 400)),
    ("POST", "/proxies/{p}/toxics", '{"type":"latency"}', 200,
     LATENCY % (0, 0, "latency_downstream", "downstream", 1)),
    ("POST", "/proxies/{p}/toxics",
     '{"type":"latency","stream":"UpStream","attributes":{"LATENCY":5,"more":1}}', 200,
     LATENCY % (5, 0, "latency_UpStream", "UpStream", 1)),
    ("POST", "/proxies/{p}/toxics", '{"type":"latency","attributes":null,"name":"n"}', 200,
     LATENCY % (0, 0, "n", "downstream", 1)),
    ("POST", "/proxies/{p}/toxics", '{"type":"latency","toxicity":0.123456789}', 200,
     LATENCY % (0, 0, "latency_downstream", "downstream", 0.12345679)),
    ("POST", "/proxies/{p}/toxics", '{"type":"latency","toxicity":5}', 200,
     LATENCY % (0, 0, "latency_downstream", "downstream", 5)),
    ("POST", "/proxies/{p}/toxics", '{"type":"latency","toxicity":"1"}',
     *bad(f"{JSON} string into {TO} ToxicWrapper.toxicity of type float32")),
    ("POST", "/proxies/{p}/toxics", '{"type":"latency","toxicity":1e39}',
     *bad(f"{JSON} number 1e39 into {TO} ToxicWrapper.toxicity of type float32")),
    ("POST", "/proxies/{p}/toxics", '{"type":"latency","attributes":[]}',
     *bad(f"{JSON} array into {TO} ToxicWrapper.attributes of type toxics.NoopToxic")),
    *[
        ("POST", "/proxies/{p}/toxics", f'{{"type":"latency","attributes":{{"latency":{given}}}}}',
         *bad(f"{JSON} {seen} into {TO} LatencyToxic.attributes.latency of type int64"))
        for given, seen in [
            ("1.0", "number 1.0"), ("1e2", "number 1e2"), ('"5"', "string"), ("true", "bool"),
            ("[]", "array"),
            ("9223372036854775808", "number 9223372036854775808"),
        ]
    ],
    # Populate
    ("POST", "/populate", "", 400, '{"error":"bad request body: EOF","status":400,"proxies":null}'),
    ("POST", "/populate", "[]", 201, '{"proxies":null}'),
    ("POST", "/populate", '[{"name":"{x}"}]', 400,
     '{"error":"missing required field: upstream at proxy 1","status":400,"proxies":null}'),
    ("POST", "/populate", '[{"name":"{x}",$UP},{$UP}]', 400,
     '{"error":"missing required field: name at proxy 2","status":400,"proxies":null}'),
    ("POST", "/populate", '[{"name":"{x}",$UP,"listen":"bad"}]', 500,
     '{"error":"listen tcp: address bad: missing port in address","status":500,"proxies":null}'),
]  # fmt: skip
