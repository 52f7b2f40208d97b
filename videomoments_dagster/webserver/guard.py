"""A guard before an ASGI app that has no login: what pages of others in a browser make is refused.

Without it, any page that is open in a browser on this machine could launch and delete runs:
Dagster's webserver takes mutations by GET, from any origin, under any host name.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse
from starlette.responses import PlainTextResponse

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

WEBSERVER = "videomoments_dagster.webserver"
"""Module that is Dagster's webserver behind the guard."""

HOSTS_VARIABLE = "VIDEOMOMENTS_UI_HOSTS"

# What a browser says of a request of our own pages, and of an address that a person typed.
_OWN_SITES = {"same-origin", "none"}
# Every answer's: not in a frame of others, not as a picture or video of theirs.
_HEADERS = {
    b"x-frame-options": b"SAMEORIGIN",
    b"cross-origin-resource-policy": b"same-origin",
    b"x-content-type-options": b"nosniff",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the guard looks at of a request.

    Attributes:
        method: HTTP method in capitals; "WEBSOCKET" for the opening of a web socket.
        path: Decoded path.
        query: Encoded query, without its question mark.
        headers: Values of each header, by its name in small letters.
        address: Address of this machine that the connection came to; None where it is not known.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    address: str | None = None

    def header(self, name: str) -> str:
        """The only value of a header; empty where there is none."""
        return next(iter(self.headers.get(name, ())), "")


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a request is not let in.

    Attributes:
        status: HTTP status.
        reason: A sentence.
    """

    status: int
    reason: str


def refusal(asked: Asked, *, hosts: Collection[str] = ()) -> Refused | None:
    """Say why a request is not let in; None where it is.

    Args:
        asked: The request.
        hosts: Names, with a port where it is not the usual one, under which people reach the
            server, beside those of the machine itself.
    """
    host = asked.header("host").lower()
    for name in ("host", "origin"):
        if len(asked.headers.get(name, ())) > 1:
            return Refused(400, f"There is more than one header {name.title()}.")
    # A name that a stranger owns may lead to this machine by now (DNS rebinding): to the browser,
    # the stranger's pages are then of the same origin.
    if not _is_own_host(host, asked.address, hosts):
        return Refused(
            421,
            f"This is not '{host}'. If people are to use that name, put it in {HOSTS_VARIABLE}.",
        )
    if (origin := asked.header("origin").lower()) and not _is_own_origin(origin, host, hosts):
        return Refused(403, f"Pages of {origin} may not use this.")
    site = asked.header("sec-fetch-site") or "none"
    if site not in _OWN_SITES and not _is_link_followed(asked):
        return Refused(403, "Pages of others may not use this.")
    if _is_graphql(asked.path) and _has_mutation(asked.query):
        return Refused(405, "A mutation is sent as the body of a POST, not in the address.")
    return None


class Guard:
    """The app, for requests that `refusal` has nothing against."""

    def __init__(self, app: App, *, hosts: Collection[str] = ()) -> None:
        """Guard an app; for `hosts` see `refusal`."""
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or open a web socket, as ASGI has it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refused = refusal(_asked(scope), hosts=self._hosts)
        if refused is None:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await receive()
            # Before it was accepted: the server answers with 403.
            await send({"type": "websocket.close", "code": 1008, "reason": refused.reason})
        else:
            answer = PlainTextResponse(f"{refused.reason}\n", status_code=refused.status)
            await answer(scope, receive, _with_headers(send))


def hosts_in(setting: str) -> frozenset[str]:
    """The names in a setting, which has commas between them."""
    return frozenset(filter(None, (name.strip().lower() for name in setting.split(","))))


def _asked(scope: Scope) -> Asked:
    headers: dict[str, tuple[str, ...]] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        headers[key] = (*headers.get(key, ()), value.decode("latin-1").strip())
    method = "WEBSOCKET" if scope["type"] == "websocket" else scope["method"].upper()
    query = scope.get("query_string", b"").decode("latin-1")
    address = (scope.get("server") or (None,))[0]
    return Asked(method, scope["path"], query, headers, address)


def _with_headers(send: Send) -> Send:
    async def sent(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message.get("headers", ())}
            ours = [pair for pair in _HEADERS.items() if pair[0] not in given]
            message = {**message, "headers": [*message.get("headers", ()), *ours]}
        await send(message)

    return sent


def _is_own_host(host: str, address: str | None, hosts: Collection[str]) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or {host, name} & set(hosts):
        return True
    try:
        number = ipaddress.ip_address(name)
    except ValueError:
        return False
    # No name leads to an address that was typed as one.
    return number.is_loopback or name == address


def _is_own_origin(origin: str, host: str, hosts: Collection[str]) -> bool:
    scheme, _, authority = origin.partition("://")
    # A proxy in front may have put another host in the place of the one that the browser asked.
    return scheme in ("http", "https") and (authority == host or authority in hosts)


def _is_link_followed(asked: Asked) -> bool:
    """Whether somebody followed a link of another page, in a window of its own."""
    return (
        asked.method in ("GET", "HEAD")
        and asked.header("sec-fetch-mode") == "navigate"
        and asked.header("sec-fetch-dest") == "document"
        and not _is_graphql(asked.path)
    )


def _is_graphql(path: str) -> bool:
    return path.rstrip("/").endswith("/graphql")


def _has_mutation(query: str) -> bool:
    for text in parse_qs(query).get("query", ()):
        try:
            parts = parse(text).definitions
        except GraphQLError:
            # Nobody runs what cannot be read.
            continue
        for part in parts:
            match part:
                case OperationDefinitionNode(operation=OperationType.MUTATION):
                    return True
    return False
