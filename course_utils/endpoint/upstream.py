"""Engines that are servers of their own: asked over HTTP in OpenAI's protocol.

`Remote` is one such server (vLLM, or this kit's own endpoint on another machine). The embedded
llama.cpp builds on it, over a socket file that nobody else can open.
"""

import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from course_utils.endpoint.engines import Kind
from course_utils.endpoint.problems import ApiError
from course_utils.errors import CourseError

if TYPE_CHECKING:
    import httpx

PATHS = {"chat": "/v1/chat/completions", "text": "/v1/completions"}
ASK_SECONDS = 600


class Remote:
    """A server that speaks OpenAI's protocol; `names` maps our model names to its own."""

    name = "upstream"
    enforces_schemas = True
    tells_likelihoods = False  # not every server does
    slots = 64

    def __init__(self, url: str, names: dict[str, str] | None = None, key: str = "") -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self.names = names or {}
        self.key = key
        self._client: httpx.AsyncClient | None = None

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(self.names)

    async def start(self) -> None:
        """Connect, and read the server's model names where none were given."""
        import httpx

        self._client = httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.key}"} if self.key else {},
            timeout=httpx.Timeout(ASK_SECONDS, connect=10),
            limits=limits(),
            transport=self._transport(),
        )
        if self.names:
            return
        try:
            answer = await self._client.get("/v1/models")
            answer.raise_for_status()
            self.names = {str(model["id"]): str(model["id"]) for model in answer.json()["data"]}
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            await self.close()
            raise CourseError(
                f"{self.url}: /v1/models gave no list of models ({error})",
                "check the address with --upstream, and its key with --upstream-key-file",
            ) from None

    def _transport(self) -> "httpx.AsyncBaseTransport | None":
        return None

    def prepared(self, kind: Kind, model: str, body: dict[str, Any]) -> dict[str, Any]:
        """The request as this server takes it."""
        return {**body, "model": self.names[model]}

    async def answer(self, kind: Kind, model: str, body: dict[str, Any]) -> dict[str, Any]:
        import httpx

        try:
            answer = await self._ready().post(PATHS[kind], json=self.prepared(kind, model, body))
            content = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise _unreachable(error) from None
        if answer.status_code != 200:
            raise _refused(answer.status_code, content)
        return content

    async def stream(
        self, kind: Kind, model: str, body: dict[str, Any]
    ) -> AsyncIterator[dict[str, Any]]:
        import httpx

        wanted = {**body, "stream": True, "stream_options": {"include_usage": True}}
        try:
            async with self._ready().stream(
                "POST", PATHS[kind], json=self.prepared(kind, model, wanted)
            ) as answer:
                if answer.status_code != 200:
                    raise _refused(answer.status_code, _json(await answer.aread()))
                async for line in answer.aiter_lines():
                    text = line.removeprefix("data:").strip()
                    if line.startswith("data:") and text != "[DONE]":
                        chunk = json.loads(text)
                        if "error" in chunk:
                            raise _refused(500, chunk)
                        yield chunk
        except (httpx.HTTPError, ValueError) as error:
            raise _unreachable(error) from None

    def _ready(self) -> "httpx.AsyncClient":
        assert self._client is not None, "start() comes first"
        return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def limits() -> "httpx.Limits":
    """A new connection for each request: servers close idle ones just when they are used again."""
    import httpx

    return httpx.Limits(max_connections=None, max_keepalive_connections=0)


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return {}


def _unreachable(error: Exception) -> ApiError:
    return ApiError(502, f"the engine did not answer ({type(error).__name__})", "engine_error")


def _refused(status: int, content: Any) -> ApiError:
    """What the server said, in our codes; a wrong key between servers is not the client's fault."""
    problem = content.get("error", content) if isinstance(content, dict) else {}
    problem = problem if isinstance(problem, dict) else {"message": problem}
    message = str(problem.get("message") or "the engine refused the request")[:500]
    said = f"{problem.get('type')} {problem.get('code')} {message}".lower()
    if "exceed_context" in said or "context length" in said or "context_length" in said:
        return ApiError(400, message, "context_length_exceeded", "messages")
    if status in (400, 413, 422, 429):
        return ApiError(400 if status == 422 else status, message, problem.get("code") or None)
    return ApiError(502, f"the engine failed: {message}", "engine_error")
