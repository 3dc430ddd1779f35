"""The web application: OpenAI's interface over an engine, with a page, figures and a description.

    app = build(engine, Options(key="..."), check=self_test)

Nothing but /health answers before `check` has passed.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from fastapi_offline import FastAPIOffline
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from course_utils import __version__
from course_utils.endpoint import api, pages
from course_utils.endpoint.answering import Answering
from course_utils.endpoint.engines import Engine
from course_utils.endpoint.figures import Figures
from course_utils.endpoint.gate import Gate
from course_utils.endpoint.guard import HERE, Guard
from course_utils.endpoint.problems import ApiError, of_validation
from course_utils.errors import CourseError

PURPOSE = (
    "A fine-tuned model and its base model behind OpenAI's interface: the same client asks both, "
    "by the model names `tuned` and `base`."
)
ERRORS = {
    400: "a field is wrong, unknown, or can't be served",
    401: "wrong or missing key",
    404: "no such model",
    413: "the body is too large",
    429: "the queue is full; Retry-After says when to ask again",
    502: "the engine failed",
    503: "starting or stopping; Retry-After says when to ask again",
}


@dataclass(frozen=True)
class Options:
    """How the server treats its clients."""

    key: str = ""
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = HERE
    queue: int = 64
    grace_seconds: float = 20.0
    title: str = "Fine-tuned model"
    examples: tuple[api.Example, ...] = ()


Check = Callable[[Engine], Awaitable[None]]


def build(engine: Engine, options: Options, check: Check | None = None) -> FastAPI:
    """The application; `check` raises CourseError when the model must not be served."""
    gate = Gate(engine.slots, options.queue)
    app = FastAPIOffline(  # /docs without scripts from another server
        title="Endpoint of the Fine-Tuning Course Kit",
        version=__version__,
        description=PURPOSE,
        redoc_url=None,
        lifespan=_lifespan(engine, gate, check),
    )
    app.state.gate, app.state.options = gate, options
    _error_answers(app)
    _add_answers(app, Answering(engine, gate, figures := Figures(gate)))
    _add_facts(app, engine, gate, figures, options)
    pages.add(app, options.title)
    app.add_middleware(Guard, key=options.key, hosts=options.hosts)
    if options.origins:  # the outermost: a page must be able to read why the guard refused it
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(options.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
        )
    return app


def _lifespan(engine: Engine, gate: Gate, check: Check | None) -> Any:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        starting = asyncio.create_task(_start(engine, gate, check))
        app.state.starting = starting
        try:
            yield
        finally:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            await engine.close()

    return lifespan


async def _start(engine: Engine, gate: Gate, check: Check | None) -> None:
    """Load and check the models while /health already answers."""
    try:
        await engine.start()
        gate.detail = "testing the model"
        if check is not None:
            await check(engine)
        gate.ready()
    except (CourseError, ApiError) as error:
        gate.fail(error.message)
        raise
    except Exception as error:
        gate.fail(f"{type(error).__name__}: {error}")
        raise


def _responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {s: {"model": api.ErrorBody, "description": ERRORS[s]} for s in statuses}


def _error_answers(app: FastAPI) -> None:
    """Every error in OpenAI's form."""

    @app.exception_handler(ApiError)
    async def known(_: Request, error: ApiError) -> Response:
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def not_valid(_: Request, error: RequestValidationError) -> Response:
        return of_validation(list(error.errors())).response()

    @app.exception_handler(HTTPException)
    async def of_framework(_: Request, error: HTTPException) -> Response:
        answer = ApiError(error.status_code, str(error.detail), headers=dict(error.headers or {}))
        return answer.response()

    @app.exception_handler(Exception)
    async def unknown(_: Request, error: Exception) -> Response:
        return ApiError(500, f"a fault of this server: {type(error).__name__}").response()


def _add_answers(app: FastAPI, answering: Answering) -> None:
    errors = _responses(400, 401, 404, 413, 429, 502, 503)
    stream = {
        "description": "the answer, or with stream=true a stream of chunks that ends in [DONE]",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
    key = [Security(HTTPBearer(auto_error=False, description="only where the server has a key"))]
    alike = {"responses": {200: stream, **errors}, "dependencies": key, "tags": ["answers"]}

    @app.post(
        "/v1/chat/completions",
        response_model=api.ChatCompletion,
        **alike,
        summary="Answer a conversation",
    )
    async def chat(request: Request, body: api.ChatRequest) -> Any:
        """The chat template of the base model is applied, as in training."""
        return await answering.reply(request, "chat", body)

    @app.post(
        "/v1/completions",
        response_model=api.Completion,
        **alike,
        summary="Go on with a text",
    )
    async def completions(request: Request, body: api.CompletionRequest) -> Any:
        """No chat template: the model sees the text as it is."""
        return await answering.reply(request, "text", body)


def _add_facts(
    app: FastAPI, engine: Engine, gate: Gate, figures: Figures, options: Options
) -> None:
    created = int(time.time())
    key = [Security(HTTPBearer(auto_error=False))]

    @app.get(
        "/v1/models",
        dependencies=key,
        tags=["facts"],
        summary="List the models",
        responses=_responses(401),
    )
    async def models() -> api.ModelList:
        """The names that `model` takes."""
        return api.ModelList(data=[api.ModelCard(id=n, created=created) for n in engine.models])

    @app.get(
        "/v1/models/{name}",
        dependencies=key,
        tags=["facts"],
        summary="Look up a model",
        responses=_responses(401, 404),
    )
    async def model(name: str) -> api.ModelCard:
        """One of the names that `model` takes."""
        if name not in engine.models:
            raise ApiError(404, f"model {name!r} is not served here", "model_not_found", "model")
        return api.ModelCard(id=name, created=created)

    @app.get(
        "/health",
        tags=["facts"],
        summary="Ask whether it is ready",
        responses={503: {"model": api.Health, "description": "starting, stopping or failed"}},
    )
    async def health() -> api.Health:
        """200 when questions are answered; needs no key."""
        found = api.Health(
            status=gate.state, engine=engine.name, models=list(engine.models), detail=gate.detail
        )
        status = 200 if gate.state == "ready" else 503
        return JSONResponse(found.model_dump(), status)  # type: ignore[return-value]

    @app.get(
        "/metrics",
        dependencies=key,
        tags=["facts"],
        summary="Read the figures",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}, **_responses(401)},
    )
    async def metrics() -> Response:
        """Counters and times in Prometheus' format."""
        return Response(figures.text(), media_type=CONTENT_TYPE_LATEST)

    @app.get(
        "/examples",
        dependencies=key,
        tags=["facts"],
        summary="Read test records",
        responses=_responses(401),
    )
    async def examples() -> api.Examples:
        """Questions of the run's test records with their true answers, for the page."""
        return api.Examples(examples=list(options.examples))
