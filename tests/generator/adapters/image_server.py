"""A server of POST /v1/images/generations on this machine that follows a script of misbehaviour."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image


def png(seed: int, *, side: int = 96) -> bytes:
    """A textured picture that depends on a seed."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 215, (8, 8, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(target, "PNG")
    return target.getvalue()


@dataclass
class Server:
    """What a test scripts and what it reads afterwards.

    Attributes:
        script: what the next answers are: (status, headers, body), "silent", "half", "empty", "policy", "url",
            "elsewhere", "broken" or "good"; when it is used up, every answer is good.
        pages: what the next pictures fetched by address are: a status, "half" or "good".
        picture: bytes of the picture for a request's fields.
        asked: fields and headers of every request.
        made: how many pictures were made (and would be paid).
    """

    script: list[Any] = field(default_factory=list)
    pages: list[Any] = field(default_factory=list)
    picture: Any = lambda fields: png(fields.get("seed", 0))  # noqa: E731
    asked: list[tuple[dict[str, Any], dict[str, str]]] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    made: int = 0
    url: str = ""


class _Handler(BaseHTTPRequestHandler):
    state: Server

    def do_POST(self) -> None:
        state = self.state
        fields = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        state.asked.append((fields, dict(self.headers)))
        step = state.script.pop(0) if state.script else "good"
        if isinstance(step, tuple):
            status, headers, body = step
            self._send(status, json.dumps(body).encode(), **headers)
        elif step == "silent":
            threading.Event().wait(1.0)
        elif step == "policy":
            error = {"error": {"code": "content_policy_violation", "message": "not this one"}}
            self._send(400, json.dumps(error).encode())
        else:
            state.made += 1
            self._answer(step, state.picture(fields))

    def _answer(self, step: str, picture: bytes) -> None:
        encoded = base64.b64encode(picture).decode()
        answers = {
            "url": {"url": "/made/picture.png"},
            "elsewhere": {"url": "http://203.0.113.7/picture.png"},
            "broken": {"b64_json": base64.b64encode(b"no picture").decode()},
        }
        data = (
            []
            if step == "empty"
            else [answers.get(step, {"b64_json": encoded, "revised_prompt": "as revised"})]
        )
        body = json.dumps({"created": 1, "data": data}).encode()
        self._send(200, body, half=step == "half")

    def do_GET(self) -> None:
        self.state.fetched.append(self.path)
        step = self.state.pages.pop(0) if self.state.pages else "good"
        if isinstance(step, int):
            self._send(step, b"{}")
        else:
            self._send(200, png(7), half=step == "half")

    def _send(self, status: int, body: bytes, *, half: bool = False, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if half else body)
        self.close_connection = True

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


@contextmanager
def image_server(*script: Any) -> Iterator[Server]:
    """Run a server until the block ends."""
    state = Server(script=list(script))
    handler = type("Handler", (_Handler,), {"state": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
