"""One request at the engine: whole or streamed, given up when the client has gone."""

import asyncio
import contextlib
import json
import logging
import time
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from course_utils.endpoint import api
from course_utils.endpoint.engines import Engine, Kind
from course_utils.endpoint.figures import Figures, Watch
from course_utils.endpoint.gate import Gate
from course_utils.endpoint.problems import ApiError
from course_utils.endpoint.schemas import check_answer, check_schema

T = TypeVar("T")
LOG = logging.getLogger(__name__)
GONE = 499  # nginx's code for a client that has hung up; nobody reads it
COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
OBJECTS = {"chat": "chat.completion", "text": "text_completion"}
# A proxy that collects a stream before it passes it on would undo it (nginx reads this header).
STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class HungUp(Exception):
    """The client has closed the connection."""


class Answering:
    """Asks the engine, one request at a time of up to `slots`."""

    def __init__(self, engine: Engine, gate: Gate, figures: Figures) -> None:
        self.engine, self.gate, self.figures = engine, gate, figures

    async def reply(
        self, request: Request, kind: Kind, body: api.ChatRequest | api.CompletionRequest
    ) -> Response | api.ChatCompletion | api.Completion:
        """The response; raises ApiError for everything that is known before the first byte."""
        if body.model not in self.engine.models:
            known = ", ".join(self.engine.models)
            message = f"model {body.model!r} is not served here; there are: {known}"
            raise ApiError(404, message, "model_not_found", "model")
        watch = Watch(self.figures, body.model)
        asked = Asked(kind, body, self._schema(body))
        try:
            with _failures():
                if body.stream:
                    return await self._streamed(request, asked, watch)
                return await self._whole(request, asked, watch)
        except ApiError as error:
            watch.done(error.status)
            raise
        except HungUp:
            watch.done(GONE)
            return Response(status_code=GONE)

    def _schema(self, body: Any) -> dict[str, Any] | None:
        schema = body.wanted_schema() if isinstance(body, api.ChatRequest) else None
        if schema is not None:
            if not self.engine.enforces_schemas:
                raise ApiError(
                    400,
                    f"the engine {self.engine.name} can't enforce a JSON schema",
                    "schema_not_enforceable",
                    "response_format",
                )
            check_schema(schema)
        return schema

    async def _whole(self, request: Request, asked: "Asked", watch: Watch) -> Any:
        async def work() -> dict[str, Any]:
            async with self.gate.place():
                return await self.engine.answer(asked.kind, asked.model, asked.engine_body())

        found = await self._unless_gone(request, work())
        answer = asked.answer(found)
        watch.done(200, answer.usage.model_dump())
        return answer

    async def _streamed(self, request: Request, asked: "Asked", watch: Watch) -> Response:
        """The status is sent with the first chunk, so until then a refusal has its own code."""
        stack = contextlib.AsyncExitStack()
        chunks = self.engine.stream(asked.kind, asked.model, asked.engine_body())

        async def begin() -> dict[str, Any] | None:
            await stack.enter_async_context(self.gate.place())
            stack.push_async_callback(chunks.aclose)
            return await anext(chunks, None)

        try:
            first = await self._unless_gone(request, begin())
        except BaseException:
            await stack.aclose()
            raise
        events = self._events(asked, first, chunks, stack, watch)
        return StreamingResponse(events, media_type="text/event-stream", headers=STREAM_HEADERS)

    async def _events(
        self,
        asked: "Asked",
        chunk: dict[str, Any] | None,
        chunks: AsyncIterator[dict[str, Any]],
        stack: contextlib.AsyncExitStack,
        watch: Watch,
    ) -> AsyncIterator[str]:
        status = GONE
        try:
            with _failures():
                while chunk is not None:
                    before = len(asked.text)
                    shaped = asked.shaped(chunk)
                    if len(asked.text) > before:
                        watch.token()
                    for part in shaped:
                        yield _event(part)
                    chunk = await self._or_stopped(anext(chunks, None))
                asked.check_end()
            if asked.wants_usage:
                yield _event({**asked.envelope(".chunk"), "choices": [], "usage": asked.usage})
            status = 200
            yield "data: [DONE]\n\n"
        except ApiError as error:
            status = error.status
            yield _event(error.body())
            yield "data: [DONE]\n\n"
        finally:
            watch.done(status, asked.usage)
            await _to_the_end(stack.aclose())

    async def _unless_gone(self, request: Request, work: Coroutine[Any, Any, T]) -> T:
        """The work's result; it is given up when the client hangs up or the server must end."""
        task = asyncio.ensure_future(work)
        gone = asyncio.ensure_future(_gone(request))
        try:
            return await self._or_stopped(task, gone)
        finally:
            for future in (task, gone):
                future.cancel()
            await asyncio.gather(task, gone, return_exceptions=True)

    async def _or_stopped(self, work: Any, gone: asyncio.Future | None = None) -> Any:
        task = asyncio.ensure_future(work)
        hurry = asyncio.ensure_future(self.gate.hurry.wait())
        others = {hurry, *([gone] if gone else [])}
        try:
            await asyncio.wait({task, *others}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hurry.cancel()
            if not task.done():
                task.cancel()
                await _to_the_end(asyncio.wait([task]))
        if not task.cancelled():
            return task.result()
        if gone is not None and gone.done():
            raise HungUp
        raise ApiError(503, "the server stopped before the answer was whole", "server_stopping")


async def _gone(request: Request) -> None:
    """Returns when the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    """Whatever goes wrong in an engine, as the ApiError that the client is told.

    The client learns its kind only; the log says where, for whoever runs the server.
    """
    try:
        yield
    except (ApiError, HungUp):
        raise
    except Exception as error:
        LOG.error("the engine failed", exc_info=error)
        message = f"the engine failed ({type(error).__name__})"
        raise ApiError(502, message, "engine_error") from error


async def _to_the_end(work: Coroutine[Any, Any, Any]) -> None:
    """Wait for the work even while this task is being cancelled: places must be given back.

    Only for use in a `finally`, from where the cancellation goes on.
    """
    task = asyncio.ensure_future(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"


class Asked:
    """One request, and what has come of it so far."""

    def __init__(
        self,
        kind: Kind,
        body: api.ChatRequest | api.CompletionRequest,
        schema: dict[str, Any] | None,
    ) -> None:
        self.kind, self.body, self.schema = kind, body, schema
        self.model = body.model
        self.id = f"{'chatcmpl' if kind == 'chat' else 'cmpl'}-{uuid.uuid4().hex}"
        self.created = int(time.time())
        self.text = ""
        self.finish: str | None = None
        self.usage = dict.fromkeys(COUNTS, 0)  # not every server counts

    @property
    def wants_usage(self) -> bool:
        return bool(self.body.stream_options and self.body.stream_options.include_usage)

    def engine_body(self) -> dict[str, Any]:
        """The request for the engine."""
        wanted = self.body.sampling()
        if isinstance(self.body, api.ChatRequest):
            wanted["messages"] = [message.as_text() for message in self.body.messages]
            if self.schema is not None:
                named = {"name": "answer", "schema": self.schema, "strict": True}
                wanted["response_format"] = {"type": "json_schema", "json_schema": named}
        else:
            wanted["prompt"] = self.body.prompt
        return wanted

    def envelope(self, suffix: str = "") -> dict[str, Any]:
        kind = OBJECTS[self.kind] + (suffix if self.kind == "chat" else "")
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def shaped(self, chunk: dict[str, Any]) -> list[dict[str, Any]]:
        """An engine's chunk in our envelope; usage is kept for the end."""
        self._keep_usage(chunk)
        shaped = []
        for choice in chunk.get("choices") or ():
            finish = _finish(choice)
            self.finish = finish or self.finish
            place: dict[str, Any] = {"index": 0, "finish_reason": finish}
            if self.kind == "chat":
                delta = choice.get("delta") or {}
                kept = {k: delta[k] for k in ("role", "content") if delta.get(k) is not None}
                self.text += kept.get("content", "")
                place["delta"] = kept
            else:
                place["text"] = choice.get("text") or ""
                self.text += place["text"]
            if finish or place.get("delta") or place.get("text"):
                shaped.append({**self.envelope(".chunk"), "choices": [place]})
        return shaped

    def _keep_usage(self, found: dict[str, Any]) -> None:
        if found.get("usage"):
            self.usage = {name: int(found["usage"].get(name) or 0) for name in COUNTS}

    def check_end(self) -> None:
        """ApiError when a finished answer breaks its schema, or the engine never finished."""
        if self.finish is None:
            raise ApiError(502, "the engine ended in the middle of the answer", "engine_error")
        if self.schema is not None and self.finish == "stop":
            check_answer(self.text, self.schema)

    def answer(self, found: dict[str, Any]) -> api.ChatCompletion | api.Completion:
        """A whole answer in our envelope."""
        try:
            choice = found["choices"][0]
            self.text = choice["message"]["content"] if self.kind == "chat" else choice["text"]
        except (KeyError, IndexError, TypeError):
            raise ApiError(502, "the engine gave no answer", "engine_error") from None
        self.text, self.finish = self.text or "", _finish(choice)
        self._keep_usage(found)
        self.check_end()
        usage = api.Usage(**self.usage)
        if self.kind == "chat":
            message = api.Answer(content=self.text)
            chosen = api.ChatChoice(message=message, finish_reason=self.finish)
            return api.ChatCompletion(**self.envelope(), choices=[chosen], usage=usage)
        chosen = api.TextChoice(text=self.text, finish_reason=self.finish)
        return api.Completion(**self.envelope(), choices=[chosen], usage=usage)


def _finish(choice: dict[str, Any]) -> str | None:
    """stop or length; an engine's other reasons mean that it stopped."""
    reason = choice.get("finish_reason")
    return reason if reason in (None, "length") else "stop"
