"""What can become of an arrival: exactly one of `OUTCOMES`."""

from __future__ import annotations

from typing import Final

OK: Final = 0
SHED: Final = 1
STATUS: Final = 2
CHECK: Final = 3
TIMEOUT: Final = 4
UNSENT: Final = 5
CONNECT: Final = 6
TLS: Final = 7
DNS: Final = 8
RESET: Final = 9
PROTOCOL: Final = 10
LOST: Final = 11
ABORTED: Final = 12

# The index of a name is its code on the hot path and in frames.
OUTCOMES: Final = (
    "ok", "shed", "status", "check", "timeout", "unsent", "connect", "tls", "dns", "reset", "protocol",
    "lost", "aborted",
)  # fmt: skip
ERROR_KINDS: Final = OUTCOMES[2:]

# Histogram classes of a frame and of result.json's `histograms`. All are recorded in µs.
# ok, failed: response time (done − due) of ok arrivals, and of answered ones that were not (status, check).
# shed: done − sent of arrivals that were shed, of their last attempt. The others: of attempts.
CLASSES: Final = ("ok", "failed", "shed", "service", "lag", "queued", "ttfb", "connect", "tls", "dns")
H_OK: Final = 0
H_FAILED: Final = 1
H_SHED: Final = 2
H_SERVICE: Final = 3
H_LAG: Final = 4
H_QUEUED: Final = 5
H_TTFB: Final = 6
H_CONNECT: Final = 7
H_TLS: Final = 8
H_DNS: Final = 9

# What else is counted of clients that try again, or hold back; an index is a code on the way, as above.
# retries: attempts after an arrival's first. exhausted: retries that the budget did not allow.
# throttled: arrivals that the client's throttle did not let out (they end as unsent). withheld: retries that
# it did not. shed_attempts: attempts that were shed, retried or not. told: sheds (arrivals) within
# `good_within` with a valid Retry-After. promised: first retries sent after the delay that a shed had asked
# for in one, and kept: those of them that were not shed again.
MARKS: Final = (
    "retries", "exhausted", "throttled", "withheld", "shed_attempts", "told", "promised", "kept",
)  # fmt: skip
M_RETRIES: Final = 0
M_EXHAUSTED: Final = 1
M_THROTTLED: Final = 2
M_WITHHELD: Final = 3
M_SHED_ATTEMPTS: Final = 4
M_TOLD: Final = 5
M_PROMISED: Final = 6
M_KEPT: Final = 7
