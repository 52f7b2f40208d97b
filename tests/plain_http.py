"""One request to a webserver on this machine by plain HTTP, and its whole answer."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """An answer; its headers are found whatever case they are asked for in."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def answer_of(port: int, method: str, path: str, **headers: str) -> Answer:
    """What a request gets; underscores in names are hyphens, and `Host` is sent as it is given."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        with connection.getresponse() as answer:
            # What is upgraded to has no end.
            upgraded = answer.status == http.client.SWITCHING_PROTOCOLS
            return Answer(answer.status, answer.headers, b"" if upgraded else answer.read())
