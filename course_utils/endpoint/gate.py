"""The door: so many requests at work, so many waiting, the rest is sent away at once.

It also knows whether the server is starting, ready, or stopping.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from course_utils.endpoint.problems import ApiError

RETRY_SECONDS = 2


class Gate:
    """At most `slots` requests run and `queue` wait; the next one is a 429 with Retry-After."""

    def __init__(self, slots: int, queue: int) -> None:
        self.slots, self.queue = slots, queue
        self.running = 0
        self.waiting = 0
        self.state = "starting"
        self.detail = "loading the model"
        self.hurry = asyncio.Event()  # set: whoever still answers ends now and says so
        self._places = asyncio.Semaphore(slots)

    def ready(self) -> None:
        if self.state == "starting":
            self.state, self.detail = "ready", ""

    def fail(self, why: str) -> None:
        """The self-test did not pass: nothing is answered."""
        self.state, self.detail = "failed", why

    def stop(self, grace_seconds: float) -> None:
        """Take nothing new; after the grace, end what still runs."""
        if self.state != "stopping":
            self.state, self.detail = "stopping", "the server is stopping"
            asyncio.get_running_loop().call_later(grace_seconds, self.hurry.set)

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place to work in; raises ApiError 429 when the queue is full, 503 when not ready."""
        if self.state != "ready":
            raise ApiError(
                503,
                f"not ready: {self.detail}",
                f"server_{self.state}",
                headers={"Retry-After": str(RETRY_SECONDS)},
            )
        if self.running >= self.slots and self.waiting >= self.queue:
            raise ApiError(
                429,
                f"{self.running} requests are being answered and {self.waiting} wait: ask again "
                f"in {RETRY_SECONDS} s",
                "queue_full",
                headers={"Retry-After": str(RETRY_SECONDS)},
            )
        self.waiting += 1
        try:
            await self._places.acquire()
        finally:
            self.waiting -= 1
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._places.release()
