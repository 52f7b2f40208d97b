"""A server that speaks the OpenAI chat protocol, well or badly, as a test asks for.

Belongs here: a real HTTP server on the loopback interface, with every fault that servers have. Does
not belong here: what any answer says.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from videomoments_dagster.language_models.model_registry import LanguageModel

Body = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """What the server does with one request.

    Attributes:
        status: HTTP status.
        body: What it sends; text, or JSON.
        events: What it sends instead, a piece each, as a server that streams.
        headers: More headers.
        delay: Seconds before the first byte.
        drip: Seconds between bytes, or events; 0 sends all at once.
        cut: Closes the connection half way through the body.
        reset: Closes the connection without a byte.
    """

    status: int = 200
    body: Any = ""
    events: Sequence[str] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drip: float = 0.0
    cut: bool = False
    reset: bool = False


def completion(
    content: Any, *, finish_reason: str = "stop", tokens: int = 100, **message: Any
) -> Body:
    """A chat completion with usage, as servers send it; content is text, or made into JSON."""
    text = content if isinstance(content, str) or content is None else json.dumps(content)
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "served",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish_reason,
                "message": {"role": "assistant", "content": text, **message},
            }
        ],
        "usage": {
            "prompt_tokens": 1000,
            "completion_tokens": tokens,
            "total_tokens": 1000 + tokens,
        },
    }


def answer(content: Any, **options: Any) -> Reply:
    """A good answer."""
    finish_reason = options.pop("finish_reason", "stop")
    return Reply(body=completion(content, finish_reason=finish_reason), **options)


def streamed(
    content: Any,
    *,
    finish_reason: str | None = "stop",
    characters: int = 4,
    tokens: int = 100,
    counts: bool = True,
    done: bool = True,
    **options: Any,
) -> Reply:
    """An answer in pieces of so many characters, as llama.cpp and OpenAI send it."""
    text = content if isinstance(content, str) else json.dumps(content)
    parts = [text[at : at + characters] for at in range(0, len(text), characters)]
    deltas: list[Body] = [{"role": "assistant", "content": None}]
    deltas += [{"content": part} for part in parts]
    chunks: list[Body] = [
        {"choices": [{"index": 0, "finish_reason": None, "delta": delta}]} for delta in deltas
    ]
    if finish_reason:
        chunks.append({"choices": [{"index": 0, "finish_reason": finish_reason, "delta": {}}]})
    if counts:
        usage = completion("", tokens=tokens)["usage"]
        chunks.append({"choices": [], "usage": usage})
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "served"}
    events = [f"data: {json.dumps(head | chunk)}\n\n" for chunk in chunks]
    return Reply(events=[*events, "data: [DONE]\n\n"] if done else events, **options)


def cut_answer(text: str, *, tokens: int = 1000) -> Reply:
    """An answer that ended where it had to: at the request's limit, or with the context."""
    return Reply(body=completion(text, finish_reason="length", tokens=tokens))


def error(
    status: int, message: str, *, headers: Mapping[str, str] | None = None, **more: Any
) -> Reply:
    """An error as servers send it."""
    return Reply(status=status, body={"error": {"message": message, **more}}, headers=headers or {})


CONTEXT_OVERFLOWS: Mapping[str, Reply] = {
    "llama.cpp": error(
        400,
        "request (9001 tokens) exceeds the available context size (8192 tokens), try increasing it",
        code=400,
        type="exceed_context_size_error",
        n_prompt_tokens=9001,
        n_ctx=8192,
    ),
    "llama.cpp while it writes": error(
        500, "Context size has been exceeded.", code=500, type="server_error"
    ),
    "vLLM": Reply(
        status=400,
        body={
            "object": "error",
            "message": "This model's maximum context length is 8192 tokens. However, you requested "
            "9001 tokens (8001 in the messages, 1000 in the completion). Please reduce the length "
            "of the messages or completion.",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
    ),
    "vLLM of late": error(
        400,
        "'max_tokens' or 'max_completion_tokens' is too large: 1000. This model's maximum context "
        "length is 8192 tokens and your request has 8001 input tokens (1000 > 8192 - 8001).",
        type="BadRequestError",
        code=400,
    ),
    "OpenAI": error(
        400,
        "This model's maximum context length is 8192 tokens. However, your messages resulted in "
        "9001 tokens. Please reduce the length of the messages.",
        type="invalid_request_error",
        param="messages",
        code="context_length_exceeded",
    ),
    "OpenAI of late": error(
        400,
        "Input tokens exceed the configured limit of 8192 tokens. Your messages resulted in 9001 "
        "tokens. Please reduce the length of the messages.",
        type="invalid_request_error",
        param="messages",
        code="context_length_exceeded",
    ),
    "MiniMax": Reply(
        body={
            "choices": None,
            "base_resp": {
                "status_code": 2013,
                "status_msg": "invalid params, context window exceeds limit (2013)",
            },
        }
    ),
}
"""What servers say to a question that is longer than their context."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    owner: ChatServer

    def handle_error(self, *_: Any) -> None:
        """A client that hung up is what some tests want."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: Any) -> None:
        """Nothing; pytest shows what matters."""

    def do_GET(self) -> None:
        owner = self.server.owner
        owner.keys.append(self.headers.get("Authorization", ""))
        self._send(Reply(status=owner.models_status, body={"object": "list", "data": []}))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._send(self.server.owner.take(body, self.headers))

    def _send(self, reply: Reply) -> None:
        if reply.delay:
            time.sleep(reply.delay)
        if reply.reset:
            self._hang_up()
            return
        if reply.events:
            self._send_events(reply)
            return
        text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
        data = text.encode("utf-8", errors="surrogatepass")
        try:
            self.send_response(reply.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self._send_body(data, reply)
        except OSError:
            self.close_connection = True

    def _send_events(self, reply: Reply) -> None:
        shown = reply.events[: len(reply.events) // 2] if reply.cut else reply.events
        try:
            self.send_response(reply.status)
            self.send_header("Content-Type", "text/event-stream; charset=utf-8")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for event in shown:
                data = event.encode()
                self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
                self.wfile.flush()
                time.sleep(reply.drip)
            if reply.cut:
                self._hang_up()
            else:
                self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True

    def _send_body(self, data: bytes, reply: Reply) -> None:
        if reply.cut:
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            self._hang_up()
        elif reply.drip:
            for byte in data:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(reply.drip)
        else:
            self.wfile.write(data)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


@dataclass
class ChatServer:
    """The server; a context manager.

    Attributes:
        reply: Makes the reply to a chat request; called in many threads.
        requests: Bodies of the chat requests so far.
        keys: What stood in their `Authorization` headers.
        peak: Most chat requests at one time.
    """

    reply: Callable[[Body], Reply]
    models_status: int = 200
    requests: list[Body] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    peak: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._now = 0
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def take(self, body: Body, headers: Message) -> Reply:
        """Note one chat request, and make its reply."""
        with self._lock:
            self.requests.append(body)
            self.keys.append(headers.get("Authorization", ""))
            self.headers.append(dict(headers))
            self._now += 1
            self.peak = max(self.peak, self._now)
        try:
            return self.reply(body)
        finally:
            with self._lock:
                self._now -= 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"


def scripted(*replies: Reply | Callable[[Body], Reply]) -> Callable[[Body], Reply]:
    """Gives these replies one after the other, and the last one from then on."""
    waiting = list(replies)
    lock = threading.Lock()

    def reply(body: Body) -> Reply:
        with lock:
            current = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return current(body) if callable(current) else current

    return reply


def a_model(server: ChatServer | None = None, **fields: Any) -> LanguageModel:
    """An entry of the registry for a server, with short waits."""
    return LanguageModel.model_validate(
        {
            "name": "judge",
            "base_url": server.url if server else closed_address(),
            "model": "served",
            "context_window": 8192,
            "max_answer_tokens": 1000,
            "connect_seconds": 2,
            "request_seconds": 5,
            "attempts": 3,
            "longest_wait_seconds": 2,
            **fields,
        }
    )


def closed_address() -> str:
    """An address on this machine at which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
