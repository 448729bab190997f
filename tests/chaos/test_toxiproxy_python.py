"""toxiproxy-python as its users use it, without loadtool's adapter, cannot tell the servers apart."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import trio
from chaos_servers import Toxiproxy

# In a process of its own: the package keeps host and port on a class, and loadtool's adapter changes it.
_SCRIPT = """
import json, sys
from toxiproxy import Toxiproxy
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

url, name, other = sys.argv[1:]
host, _, port = url.removeprefix("http://").rpartition(":")
server = Toxiproxy()
server.update_api_consumer(host, int(port))
print("running", server.running(), json.loads(server.version())["version"] in ("git", "2.12.0"))
proxy = server.create(upstream="127.0.0.1:1", name=name, listen="127.0.0.1:0")
print("made", proxy.name == name, proxy.upstream, proxy.enabled, proxy.listen != "127.0.0.1:0")
try:
    server.create(upstream="127.0.0.1:1", name=name)
except ProxyExists as e:
    print("again", str(e).replace(name, "NAME"))
proxy.add_toxic(type="latency", attributes={"latency": 50, "jitter": 5})
proxy.add_toxic(name="thin", type="bandwidth", stream="upstream", toxicity=0.5, attributes={"rate": 10})
for toxic in sorted(server.get_proxy(name).toxics().values(), key=lambda t: t.name):
    print("toxic", toxic.name, toxic.type, toxic.stream, toxic.toxicity, sorted(toxic.attributes.items()))
try:
    proxy.add_toxic(type="nope")
except InvalidToxic as e:
    print("refused", json.loads(e.args[0]))
proxy.disable()
print("enabled", server.get_proxy(name).enabled)
proxy.enable()
print("enabled", server.get_proxy(name).enabled)
proxy.destroy_toxic("thin")
print("left", sorted(server.get_proxy(name).toxics()))
print("none", server.get_proxy("no-such-proxy"))
server.populate([{"name": other, "upstream": "127.0.0.1:2", "listen": "127.0.0.1:0"}])
print("there", {name, other} <= set(server.proxies()))
print("destroyed", server.destroy(proxy), server.destroy(server.get_proxy(other)))
print("there", {name, other} & set(server.proxies()))
"""

_PRINTED = """\
running True True
made True 127.0.0.1:1 True True
again This proxy already exists.
toxic latency_downstream latency downstream 1 [('jitter', 5), ('latency', 50)]
toxic thin bandwidth upstream 0.5 [('rate', 10)]
refused {'error': 'invalid toxic type', 'status': 400}
enabled False
enabled True
left ['latency_downstream']
none None
there True
destroyed True True
there set()
"""


async def test_toxiproxy_python_cannot_tell(toxiproxy: Toxiproxy) -> None:
    done = await trio.run_process(
        [sys.executable, "-c", _SCRIPT, toxiproxy.url, toxiproxy.free_name(), toxiproxy.free_name()],
        capture_stdout=True,
        stderr=subprocess.STDOUT,
        check=False,
        env={k: v for k, v in os.environ.items() if not re.search("_proxy$", k, re.IGNORECASE)},
    )
    assert done.stdout.decode() == _PRINTED
