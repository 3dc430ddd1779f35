"""OpenAI's client on a socket file, with limits: for a server that nobody trusts.

with asking.client_at(path, seconds=60) as client:
    client.chat.completions.create(model="tuned", ...)
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

if TYPE_CHECKING:
    from openai import OpenAI

MOST_BYTES = 2_000_000  # of one answer, a stream of a few hundred tokens with room
QUIET_SECONDS = 60.0  # without a byte
PIECE = 4096  # bytes sent at a time: a socket takes them whole or makes us wait
HOST = "http://localhost"
T = TypeVar("T")


class TooMuch(httpx.TransportError):
    """An answer that is longer, or takes longer, than an answer may."""


class _Bounded(httpx.SyncByteStream):
    """A body that ends in an error where it grows too long."""

    def __init__(self, stream: httpx.SyncByteStream) -> None:
        self.stream = stream

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for piece in self.stream:
            size += len(piece)
            if size > MOST_BYTES:
                raise TooMuch(f"an answer of more than {MOST_BYTES:,} bytes")
            yield piece

    def close(self) -> None:
        self.stream.close()


class _Clock:
    """What is done on a connection, until the deadline.

    httpx's limits begin anew with every byte, so one that sends headers drop by drop would never
    meet them.
    """

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline

    def run(self, work: Callable[[float], T], most: float | None) -> T:
        """`work`, which takes its limit in seconds; TooMuch once the deadline has passed."""
        import httpcore

        left = self.deadline - time.monotonic()
        if left > 0:
            try:
                return work(left if most is None else min(left, most))
            except httpcore.TimeoutException:
                if time.monotonic() < self.deadline:
                    raise
        raise TooMuch("an answer that takes too long")


class _Connection:
    """A connection of httpcore's whose reads and writes end at the deadline."""

    def __init__(self, made: Any, clock: _Clock) -> None:
        self.made, self.clock = made, clock

    def read(self, most: int, timeout: float | None = None) -> bytes:
        return self.clock.run(lambda limit: self.made.read(most, limit), timeout)

    def write(self, content: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(content), PIECE):
            piece = content[start : start + PIECE]
            self.clock.run(lambda limit, piece=piece: self.made.write(piece, limit), timeout)

    def close(self) -> None:
        self.made.close()

    def get_extra_info(self, info: str) -> Any:
        return self.made.get_extra_info(info)


class _Network:
    """What httpcore opens connections with: here, of the socket file only."""

    def __init__(self, clock: _Clock) -> None:
        self.clock = clock

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Any = None
    ) -> _Connection:
        import httpcore

        def connect(limit: float) -> Any:
            return httpcore.SyncBackend().connect_unix_socket(path, limit, socket_options)

        return _Connection(self.clock.run(connect, timeout), self.clock)


class _Transport(httpx.HTTPTransport):
    """Over the socket file; no answer after the deadline."""

    def __init__(self, path: Path, deadline: float) -> None:
        import httpcore

        super().__init__()
        network: Any = _Network(_Clock(deadline))  # which httpx has no argument for
        self._pool = httpcore.ConnectionPool(uds=str(path), network_backend=network)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        names = ("connect", "read", "write", "pool")
        request.extensions["timeout"] = dict.fromkeys(names, QUIET_SECONDS)
        answer = super().handle_request(request)
        if answer.headers.get("content-encoding", "identity") != "identity":
            answer.close()  # a thousand bytes may unpack to a million
            raise TooMuch("an answer that is compressed, which nobody asked for")
        answer.stream = _Bounded(answer.stream)  # type: ignore[arg-type]
        return answer


@contextlib.contextmanager
def http_at(path: Path, seconds: float) -> Iterator[httpx.Client]:
    """A client of the socket file, for so many seconds altogether."""
    transport = _Transport(path, time.monotonic() + seconds)
    with httpx.Client(
        base_url=HOST,
        headers={"Accept-Encoding": "identity"},
        transport=transport,
        follow_redirects=False,
        trust_env=False,
    ) as client:
        yield client


@contextlib.contextmanager
def client_at(path: Path, seconds: float) -> Iterator["OpenAI"]:
    """OpenAI's client of the socket file; its errors are the library's own."""
    from openai import OpenAI

    with http_at(path, seconds) as http:
        yield OpenAI(base_url=f"{HOST}/v1", api_key="none", max_retries=0, http_client=http)


def is_ready(path: Path, seconds: float = 5.0) -> bool:
    """Whether /health says so; a server that does not answer is not ready."""
    with contextlib.suppress(httpx.HTTPError, OSError, ValueError), http_at(path, seconds) as http:
        return http.get("/health").status_code == 200
    return False


def engine_of(path: Path, seconds: float = 10.0) -> str:
    """The engine's name as /health tells it, "" where it tells none."""
    with contextlib.suppress(httpx.HTTPError, OSError, ValueError), http_at(path, seconds) as http:
        told = http.get("/health").json()
        return str(told.get("engine", ""))[:40] if isinstance(told, dict) else ""
    return ""


def answered(path: Path, model: str, seconds: float = 10.0) -> float:
    """How many requests to this model were answered so far, as /metrics counts them."""
    wanted = f'course_requests_total{{model="{model}",status="200"}} '
    with contextlib.suppress(httpx.HTTPError, OSError, ValueError), http_at(path, seconds) as http:
        for line in http.get("/metrics").text.splitlines():
            if line.startswith(wanted):
                return float(line.removeprefix(wanted))
    return 0.0
