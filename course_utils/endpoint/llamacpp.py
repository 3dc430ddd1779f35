"""The embedded engine: llama.cpp's own server (continuous batching, prompt cache) in this process.

It listens on a socket file in a folder of our own, with a key, so that nobody passes by the app.
Base and tuned are one model: the adapter's scale is set for each request.
"""

import asyncio
import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils.endpoint import conversion
from course_utils.endpoint.engines import Kind
from course_utils.endpoint.upstream import Remote, limits
from course_utils.errors import CourseError

if TYPE_CHECKING:
    import httpx

CONTEXT = 2048  # tokens of prompt and answer together, for each request


@dataclass(frozen=True)
class Weights:
    """One GGUF model, and an adapter that is switched on by request."""

    model: Path
    adapter: Path | None = None


class LlamaCpp:
    """One llama.cpp server a set of weights; with a merged model there are two."""

    name = "llamacpp"
    enforces_schemas = True
    tells_likelihoods = True

    def __init__(
        self, weights: dict[str, Weights], slots: int = 8, context: int = CONTEXT, threads: int = 0
    ) -> None:
        self.models = tuple(weights)
        self.merged = not any(w.adapter for w in weights.values())
        self.slots = slots
        files = dict.fromkeys(w.model for w in weights.values())
        adapters = {w.model: w.adapter for w in weights.values() if w.adapter}
        self._servers = {
            file: _Server(file, adapters.get(file), slots, context, threads) for file in files
        }
        self._weights = weights

    async def start(self) -> None:
        for server in self._servers.values():
            await server.start()

    async def answer(self, kind: Kind, model: str, body: dict[str, Any]) -> dict[str, Any]:
        return await self._server(model).answer(kind, "", self._scaled(model, body))

    def stream(self, kind: Kind, model: str, body: dict[str, Any]) -> Any:
        return self._server(model).stream(kind, "", self._scaled(model, body))

    def _server(self, model: str) -> "_Server":
        return self._servers[self._weights[model].model]

    def _scaled(self, model: str, body: dict[str, Any]) -> dict[str, Any]:
        server = self._server(model)
        if server.adapter is None:
            return body
        scale = 1.0 if self._weights[model].adapter else 0.0
        return {**body, "lora": [{"id": 0, "scale": scale}]}

    async def close(self) -> None:
        for server in self._servers.values():
            await server.close()


class _Server(Remote):
    """llama.cpp's HTTP server on one model file."""

    def __init__(
        self, model: Path, adapter: Path | None, slots: int, context: int, threads: int
    ) -> None:
        super().__init__("http://engine", names={"": ""}, key=secrets.token_urlsafe(24))
        self.model, self.adapter = model, adapter
        self.slots, self.context, self.threads = slots, context, threads
        self.folder = Path(tempfile.mkdtemp(prefix="course-engine-"))  # mode 0700
        self.socket = self.folder / "engine.sock"
        self._engine: Any = None
        self._loading: asyncio.Future[None] | None = None

    def _transport(self) -> "httpx.AsyncBaseTransport":
        import httpx

        # Connecting is tried again: many at the same moment can be more than the socket queues.
        return httpx.AsyncHTTPTransport(uds=str(self.socket), limits=limits(), retries=3)

    async def start(self) -> None:
        self._loading = asyncio.ensure_future(asyncio.to_thread(self._load))
        await super().start()  # meanwhile
        try:
            await asyncio.shield(self._loading)
        except (RuntimeError, MemoryError, OSError) as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise CourseError(
                f"{self.model}: llama.cpp could not load it ({error})",
                "free some memory, lower --slots or --context, or try --engine transformers",
            ) from None

    def _load(self) -> None:
        # Read when llama.cpp is loaded. Two models have more OpenMP threads than there are cores,
        # and libgomp then lets a thread sleep after 100 turns of waiting, at each of hundreds of
        # steps a token: half the speed. Now 1,000; and without the limit beside it, threads that
        # have nothing to do would spin on.
        os.environ.setdefault("OMP_WAIT_POLICY", "active")
        os.environ.setdefault("GOMP_SPINCOUNT", "300000")  # libgomp's own: 3 ms
        import xllamacpp

        settings = xllamacpp.CommonParams()
        settings.model.path = str(self.model)
        settings.hostnames = [str(self.socket)]
        settings.api_keys = [self.key]
        settings.n_parallel = self.slots
        settings.n_ctx = self.context * self.slots  # shared out among the slots
        settings.cache_ram_mib = 0  # else prompts of the past are kept, up to 8 GiB of them
        settings.warmup = False  # the self-test does that
        settings.fit_params = False  # it would load twice, to find a context that fits; ours is set
        settings.verbosity = 0
        threads = self.threads or conversion.idle_cores()
        settings.cpuparams.n_threads = threads
        settings.cpuparams_batch.n_threads = threads
        settings.n_threads_http = self.slots + 4
        # The settings that OpenAI's interface has no name for: off, not llama.cpp's own defaults.
        settings.sampling.top_k = 0
        settings.sampling.min_p = 0.0
        # A model that thinks aloud by default answers at once, as in training.
        settings.default_template_kwargs = {"enable_thinking": "false"}
        if self.adapter is not None:
            settings.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(self.adapter), 1.0)]
        self._engine = xllamacpp.Server(settings)
        # Stopped before its loop has begun, it would wait for ever; an answer shows that it has.
        self._engine.handle_completions({"prompt": "a", "max_tokens": 1})

    def prepared(self, kind: Kind, model: str, body: dict[str, Any]) -> dict[str, Any]:
        # Greedy: the best token alone, or llama.cpp weighs the whole vocabulary at every token.
        greedy = {"top_k": 1} if body.get("temperature") == 0 else {}
        return {**body, "cache_prompt": True, **greedy}

    async def close(self) -> None:
        """Also in the middle of loading, which can't be broken off."""
        await super().close()
        if self._loading is not None:
            await asyncio.gather(self._loading, return_exceptions=True)
        engine, self._engine = self._engine, None
        await asyncio.to_thread(lambda held: held.clear(), [engine])
        shutil.rmtree(self.folder, ignore_errors=True)
