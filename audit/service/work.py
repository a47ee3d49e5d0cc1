"""The state that all requests share, and the bounded place where slow work is done."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

import anyio
import anyio.to_thread
from starlette.requests import Request

from audit.service.guard import Guard, RateLimiter
from audit.service.settings import Limits, Settings

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Service:
    """One deployment at work.

    Attributes:
        settings: of the deployment.
        guard: admits requests.
    """

    settings: Settings
    guard: Guard = field(init=False)
    _workers: anyio.CapacityLimiter | None = None
    _inside: int = 0  # requests, each of which may hold an upload in memory

    def __post_init__(self) -> None:
        self.guard = Guard(self.settings, RateLimiter(self.settings.limits.requests))

    @classmethod
    def of(cls, request: Request) -> Service:
        """The service that a request was sent to."""
        service = request.app.state.service
        assert isinstance(service, Service)
        return service

    @property
    def limits(self) -> Limits:
        """Bounds of the deployment."""
        return self.settings.limits

    def enter(self) -> bool:
        """Whether one more request may come in; each that did must `leave`."""
        if self._inside >= self.limits.workers + self.limits.waiting:
            return False
        self._inside += 1
        return True

    def leave(self) -> None:
        """A request is done."""
        self._inside -= 1

    async def work(self, task: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a task in a worker thread; at most as many at a time as the deployment has workers."""
        if self._workers is None:  # needs a running event loop
            self._workers = anyio.CapacityLimiter(self.limits.workers)
        return await anyio.to_thread.run_sync(functools.partial(task, *args, **kwargs), limiter=self._workers)
