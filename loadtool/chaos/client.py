"""What makes toxiproxy-python fit for use: a deadline, no proxies from the environment, every error.

It imports `requests` as a module and calls its functions. `install` puts a stand-in there, which sends each
request to the server of the call in whose context it is made.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any


class RefusedError(Exception):
    """An answer that is no success; toxiproxy-python lets most of them pass."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Calls:
    """Stands in for the module `requests` inside toxiproxy-python, for one call in one thread."""

    def __init__(self, url: str, deadline_s: float) -> None:
        import requests

        self.under_way = False
        self._closed = False
        self._url = url
        self._deadline_s = deadline_s
        self._session = requests.Session()
        self._session.trust_env = False  # no HTTP_PROXY, no .netrc

    def send(self, method: str, url: str, **options: Any) -> Any:
        # What toxiproxy-python asks for is http://HOST:PORT/PATH, with its class's host and port.
        path = "/" + url.split("/", 3)[3]
        if self._closed:  # the call was given up, and what it would have done has been taken back already
            raise RefusedError(0, "given up")
        answer = self._session.request(
            method, self._url + path, timeout=self._deadline_s, allow_redirects=False, **options
        )
        if answer.status_code >= 300:
            raise RefusedError(answer.status_code, answer.text)
        return answer

    def close(self) -> None:
        self._closed = True
        self._session.close()


current: ContextVar[Calls] = ContextVar("toxiproxy calls")


class _Requests:
    """Sends toxiproxy-python's requests to the server of the call that they belong to."""

    @staticmethod
    def get(url: str, **options: Any) -> Any:
        return current.get().send("GET", url, **options)

    @staticmethod
    def post(url: str, **options: Any) -> Any:
        return current.get().send("POST", url, **options)

    @staticmethod
    def delete(url: str, **options: Any) -> Any:
        return current.get().send("DELETE", url, **options)


def install() -> None:
    from toxiproxy import api

    api.requests = _Requests
