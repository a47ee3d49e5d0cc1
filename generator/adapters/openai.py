"""Any server of `POST /v1/images/generations`: `openai:URL` (hosted services, vLLM-Omni, SGLang, LocalAI).

An answer may have been paid for, so it is kept before anything else is done with it: the response as it came, then
the picture's bytes as they came. A run that was interrupted takes up what was kept and asks only for the rest. Each
request carries an `Idempotency-Key` of its own that is the same on every retry, so that a server that knows the
header charges once even when its answer was lost on the way; of one that does not know it, nobody can ask more.

The image's origin is the service: nothing is in its noise, and what it does with the prompt is only what it says
(`revised_prompt` stays in the response that is kept). A key is read from an environment variable, is sent to the
server's own host only, and is written nowhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import numpy as np
from numpy.typing import NDArray

from generator.adapters.http import Client, RejectedError
from generator.adapters.options import parse_options, parse_size
from generator.adapters.pictures import decode_picture, picture_suffix
from generator.errors import CannotCheckError, DiskFullError, InputError
from generator.interface import GeneratedImage, Refused, Request
from generator.marking.files import is_disk_full, write_atomic

_POLICY = ("content_policy", "content_filter", "contentfilter", "moderation", "safety")
"""Parts of the error codes with which services decline a prompt, in lower case."""

_SEED_LIMIT = 2**31  # many servers take a signed 32-bit integer
_PATH = "/v1/images/generations"


@dataclass(frozen=True, slots=True)
class OpenAIOptions:
    """How the server is asked.

    Attributes:
        model: name of the model; empty when the server has only one.
        version: of the model, as the user knows it.
        size: "WIDTHxHEIGHT"; empty leaves it to the server.
        steps: denoising steps (`num_inference_steps`); 0 leaves them to the server.
        seed: send a seed; some services do not know the field.
        format: `response_format`: "b64_json" or "url"; empty leaves it out, for services that do not know the field.
        extra: further fields, a JSON object.
        key_env: environment variable that holds the API key; none is sent when it is not set.
        timeout: seconds to wait for one answer.
        attempts: how often one request is tried.
    """

    model: str = ""
    version: str = "unknown"
    size: str = ""
    steps: int = 0
    seed: bool = True
    format: str = "b64_json"
    extra: str = ""
    key_env: str = "OPENAI_API_KEY"
    timeout: float = 180.0
    attempts: int = 6


class OpenAIGenerator:
    """A server that makes images.

    Args:
        url: of the server, with or without `/v1/images/generations`.
        options: texts of `OpenAIOptions`.
        store: folder for the answers as they came; must exist when `generate` is called.
        run_id: names this run to the server; two runs never share an answer.
        guidance: `guidance_scale`; None leaves it to the server.
        negative: `negative_prompt`; empty leaves it out.

    Raises:
        InputError: an address or option that cannot be used.
    """

    weights_digest = ""

    def __init__(
        self,
        url: str,
        options: Sequence[str] = (),
        *,
        store: Path,
        run_id: str,
        guidance: float | None = None,
        negative: str = "",
    ) -> None:
        where = f"openai:{url}"
        self._options = parse_options(OpenAIOptions, options, where=where)
        self._url = _endpoint(url)
        self._store, self._run_id = store, run_id
        self._fields = _fields(self._options, guidance, negative, where)
        self._client = Client(
            self._url,
            key=os.environ.get(self._options.key_env, ""),
            timeout=self._options.timeout,
            attempts=self._options.attempts,
        )

    @property
    def name(self) -> str:
        """Name of the model, or of the server when it has only one."""
        return self._options.model or f"model of {urlsplit(self._url).netloc}"

    @property
    def version(self) -> str:
        """Version of the model, as the user gave it."""
        return self._options.version

    def generate(self, requests: Sequence[Request]) -> Iterator[GeneratedImage | Refused]:
        """Yield one answer per request, in order; what was kept by an earlier run is not asked for again.

        Raises:
            InputError: the server does not accept the request (key, field, address); its words are in the message.
            CannotCheckError: the server did not give a usable answer after all attempts.
            DiskFullError: an answer could not be kept; nothing further is asked.
        """
        for request in requests:
            try:
                path = self._obtain(request)
                pixels = _decode(path)
            except _DeclinedError as error:
                yield Refused(request, str(error))
            else:
                yield GeneratedImage(
                    pixels,
                    request,
                    self.name,
                    self.version,
                    self.weights_digest,
                    seeded=self._options.seed,
                    original=path,
                )

    def _obtain(self, request: Request) -> Path:
        """The file with the picture's bytes as they came, asked for if it is not there."""
        body = self._fields | {"prompt": request.prompt.text}
        if self._options.seed:
            body["seed"] = request.seed % _SEED_LIMIT
        content = json.dumps(body, sort_keys=True).encode()
        digest = hashlib.sha256(self._url.encode() + b"\n" + content).hexdigest()
        stem = f"{request.prompt.prompt_id}-{request.replicate:04d}-{digest[:12]}"
        for found in self._store.glob(f"{stem}.*"):
            if found.suffix != ".json":
                return found
        response = self._store / f"{stem}.json"
        if not response.is_file():
            token = hashlib.sha256(f"{self._run_id}/{stem}".encode()).hexdigest()
            _keep(response, self._ask(content, token))
        return self._unpack(response)

    def _ask(self, content: bytes, token: str) -> bytes:
        try:
            return self._client.post(self._url, content, token=token, check=_check_answer)
        except RejectedError as error:
            if _is_policy(error):
                raise _DeclinedError(str(error)) from error
            raise InputError(
                f"{error}. Change what it does not accept (--option NAME=VALUE; the key is read from "
                f"{self._options.key_env}), then run again: what was received is kept"
            ) from error

    def _unpack(self, response: Path) -> Path:
        """Write the picture of a kept response beside it, and leave in the response what is not the picture."""
        document = json.loads(response.read_bytes())
        answer = document["data"][0]
        if answer.get("b64_json"):
            data = base64.b64decode(answer["b64_json"])
        else:
            data = self._fetch(str(answer["url"]), response)
        path = response.with_suffix(picture_suffix(data))
        _keep(path, data)
        kept = {**answer, "sha256": hashlib.sha256(data).hexdigest()}
        kept.pop("b64_json", None)
        _keep(response, json.dumps({**document, "data": [kept]}, indent=1).encode())
        return path

    def _fetch(self, address: str, response: Path) -> bytes:
        full = urljoin(self._url, address)
        if urlsplit(full)[:2] != urlsplit(self._url)[:2]:
            raise InputError(
                f"{response}: the picture is at {urlsplit(full).netloc}, another host than the server; no connection "
                "was opened to it. Ask for the picture itself with --option format=b64_json"
            )
        try:
            return self._client.get(full)
        except RejectedError as error:
            raise _DeclinedError(f"the picture is no longer there: {error}") from error


class _DeclinedError(CannotCheckError):
    """There is no picture for this one request, whatever is done."""


def _decode(path: Path) -> NDArray[np.uint8]:
    try:
        return decode_picture(path.read_bytes(), where=path.name)
    except CannotCheckError as error:
        raise _DeclinedError(str(error)) from error


def _check_answer(body: bytes) -> None:
    """A ValueError unless a response holds a picture or says where it is."""
    document = json.loads(body)
    data = document.get("data") if isinstance(document, dict) else None
    first = data[0] if isinstance(data, list) and data else None
    if not isinstance(first, dict) or not (first.get("b64_json") or first.get("url")):
        raise ValueError("an answer without a picture")
    base64.b64decode(first.get("b64_json") or "", validate=True)


def _is_policy(error: RejectedError) -> bool:
    """Whether the service declined the prompt, rather than the form of the request."""
    try:
        said = json.loads(error.body)["error"]
        words = f"{said.get('code')} {said.get('type')}".lower()
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    return any(part in words for part in _POLICY)


def _endpoint(url: str) -> str:
    parts = urlsplit(url if "//" in url else f"https://{url}")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InputError(f"openai:{url}: expected an address such as https://api.example.org")
    if parts.username or parts.password:
        raise InputError(
            "openai: name or password in the address would be recorded; give the key by --option key_env="
        )
    path = parts.path.rstrip("/")
    if not path.endswith("/images/generations"):
        path = f"{path}/images/generations" if path.endswith("/v1") else path + _PATH
    return parts._replace(path=path, fragment="").geturl()


def _fields(options: OpenAIOptions, guidance: float | None, negative: str, where: str) -> dict[str, Any]:
    """The fields of every request; what is empty is left out."""
    try:
        extra = json.loads(options.extra or "{}")
    except ValueError as error:
        raise InputError(f"{where}: option extra is no JSON ({error})") from error
    if not isinstance(extra, dict):
        raise InputError(f"{where}: option extra must be a JSON object of further fields")
    if options.size:
        width, height = parse_size(options.size, where=where)
        extra["size"] = f"{width}x{height}"
    wanted = {
        "model": options.model,
        "response_format": options.format,
        "num_inference_steps": options.steps,
        "negative_prompt": negative,
    }
    fields = {name: value for name, value in wanted.items() if value}
    if guidance is not None:
        fields["guidance_scale"] = guidance
    return {"n": 1} | fields | extra


def _keep(path: Path, data: bytes) -> None:
    try:
        write_atomic(path, data)
    except OSError as error:
        if is_disk_full(error):
            raise DiskFullError(f"{path}: disk full; free space and run again") from error
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
