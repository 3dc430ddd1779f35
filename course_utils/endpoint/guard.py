"""What stands before every request: whose host, which key, how large a body, which origin."""

import hmac
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from course_utils.endpoint.problems import ApiError

LARGEST_BODY = 1_000_000  # bytes; the longest prompt that fits a context is far shorter
# What needs no key: it tells nothing of a model, and a browser can't send one with an address.
OPEN = ("/", "/health", "/openapi.json", "/docs")
OPEN_FOLDER = "/static-offline-docs/"
HERE = ("localhost", "127.0.0.1", "::1")


class Guard:
    """An ASGI layer that refuses before anything is parsed.

    Without a key only requests that name this machine as their host are answered: else a page of
    the web whose name leads to 127.0.0.1 (DNS rebinding) could ask the server.
    """

    def __init__(self, app: ASGIApp, key: str = "", hosts: tuple[str, ...] = HERE) -> None:
        self.app, self.key, self.hosts = app, key, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        problem = self._problem(scope, headers)
        if problem is not None:
            await problem.response()(scope, receive, send)
            return
        await self.app(scope, _counted(receive), send)

    def _problem(self, scope: Scope, headers: dict[bytes, bytes]) -> ApiError | None:
        if not self.key and _host(headers) not in self.hosts:
            return ApiError(400, "this server is asked by the name of its machine", "wrong_host")
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > LARGEST_BODY:
            return _too_large()
        preflight = scope["method"] == "OPTIONS"
        if self.key and not (_is_open(scope["path"]) or preflight or self._knows(headers)):
            return ApiError(
                401,
                "wrong or missing key: send the header Authorization: Bearer KEY",
                "invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return None

    def _knows(self, headers: dict[bytes, bytes]) -> bool:
        kind, _, given = headers.get(b"authorization", b"").partition(b" ")
        return kind.lower() == b"bearer" and hmac.compare_digest(given, self.key.encode())


def _is_open(path: str) -> bool:
    return path in OPEN or path.startswith(OPEN_FOLDER)


def _too_large() -> ApiError:
    message = f"the body is longer than {LARGEST_BODY} bytes"
    return ApiError(413, message, "body_too_large")


def _host(headers: dict[bytes, bytes]) -> str:
    name = headers.get(b"host", b"").decode("latin-1")
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.rpartition(":")[0] if name.rpartition(":")[2].isdigit() and ":" in name else name


def _counted(receive: Receive) -> Any:
    """`receive` that stops when more than LARGEST_BODY bytes have come."""
    total = 0

    async def count() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > LARGEST_BODY:
            raise HTTPException(413, _too_large().message)  # the only kind FastAPI lets through
        return message

    return count
