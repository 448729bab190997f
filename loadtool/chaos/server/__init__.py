"""The embedded Toxiproxy: the HTTP API and the toxics of Toxiproxy 2.12 in one process, on one event loop.

`api` answers HTTP and changes the `collection` of proxies; each `proxy` accepts connections and joins two
`link`s, one a direction, whose bytes pass a chain of `toxics`. The `loop` owns all the sockets and timers.
Links and toxics never wait: they are told the time, move what is due, and say when they want to be run again.
That makes a change of toxics on a live connection one plain function call, and virtual time possible.

Where it differs from the real server on purpose (docs/faults.md tells users):

- A half-closed connection stays open in the other direction; the real one closes both.
- A slicer without `average_size`, or with a `size_variation` above it, and a bandwidth below 0 are answered
  with 400; they crash the real one.
- A change of toxics never waits for a client that does not read, and never loses a byte that it sent.
- Taking out a `timeout` closes the connections that it held; the real one also closes those that its toxicity
  had spared.
- `reset_peer` resets connections that were open before it was added too, can be taken out while it waits, and
  leaves those that its toxicity spared to close as usual.
- Toxicity is rolled once per connection, direction and toxic; the real one rolls again at each update.
- What a latency holds back when it is updated stays held for as long as the new one says; the real one lets
  go of it.
- An update that is refused changes nothing; the real one may have taken half of it.
- `limit_data` and `timeout` that end a connection do not leave goroutines, or anything else, behind.
- The Host header must be a loopback name or the address that the API is bound to.
- The JSON of a proxy has no `Logger` key, an answer no X-Toxiproxy-Request-Id header, and what follows "bad
  request body:" is not always in the words of Go's JSON reader.
- A seed makes toxicity and jitter repeatable. There are no runtime metrics, only those of proxies.
"""

#: The version of Toxiproxy whose API this is.
VERSION = "2.12.0"
