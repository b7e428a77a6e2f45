"""A small OpenAI-compatible server on loopback that answers as a test tells it, failures included."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, Any]
"""Status, and a body: an object, or bytes that are sent as they are."""


def failure(status: int, message: str) -> Reply:
    return status, {"error": {"message": message, "type": "x", "param": None, "code": None}}


def completion(text: str, finish: str = "stop", cached: int | None = None) -> Reply:
    """A body that is both a completion and a chat completion."""
    choice = {"index": 0, "finish_reason": finish, "text": text, "message": {"role": "assistant", "content": text}}
    usage: dict[str, Any] = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    if cached is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": cached}
    return 200, {"id": "x", "object": "x", "created": 0, "model": "m", "choices": [choice], "usage": usage}


@dataclass
class Stub:
    """What the server does and what it was asked."""

    answer: Callable[[dict[str, Any]], Reply]
    models: Reply = (404, {})
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Path and body of each request but that for the models."""
    keys: list[str] = field(default_factory=list)
    url: str = ""


def served(*names: str, **more: Any) -> Reply:
    return 200, {"object": "list", "data": [{"id": name, "object": "model", **more} for name in names]}


@contextmanager
def serving(stub: Stub) -> Iterator[Stub]:
    """Serve until the end of the context."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(*stub.models)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            stub.asked.append((self.path, body))
            stub.keys.append(self.headers["Authorization"])
            self._send(*stub.answer(body))

        def _send(self, status: int, body: Any) -> None:
            whole = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            # Bytes are a body that is cut off: fewer come than are announced.
            self.send_header("Content-Length", str(len(whole) + (10 if isinstance(body, bytes) else 0)))
            self.end_headers()
            self.wfile.write(whole)
            self.close_connection = isinstance(body, bytes)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
