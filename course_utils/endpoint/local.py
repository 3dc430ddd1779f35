"""The engine that needs no conversion: PyTorch's `generate`, one request at a time, every model.

Slow, and the reference for the others. The adapter is switched on and off between requests.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any

from course_utils import hardware, models
from course_utils.chat import prompt_ids
from course_utils.endpoint.conversion import use_idle_cores
from course_utils.endpoint.engines import Kind
from course_utils.endpoint.problems import ApiError
from course_utils.endpoint.source import Source
from course_utils.generation import end_tokens

UNKNOWN = ("frequency_penalty", "presence_penalty")  # generate has no such settings


def precision_for(machine: hardware.Hardware) -> str:
    """What the base model is held in: on a GPU 16 bits, as in training; on a CPU 32.

    A model of 7 billion weights is 28 GiB in 32 bits, and 14 in 16.
    """
    return hardware.choose_precision(machine)[0] if machine.capability else "fp32"


class Transformers:
    """Base and tuned as one PyTorch model."""

    name = "transformers"
    enforces_schemas = False
    tells_likelihoods = True
    slots = 1

    def __init__(self, source: Source) -> None:
        self.source = source
        self.models = source.names
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        await asyncio.to_thread(self._load)

    def _load(self) -> None:
        use_idle_cores()
        self.tokenizer = models.load_tokenizer(str(self.source.base))
        precision = precision_for(hardware.detect())
        model = models.load_model(str(self.source.base), precision)
        adapter = self.source.adapter
        self.model = models.load_adapter(model, adapter) if adapter else model

    async def answer(self, kind: Kind, model: str, body: dict[str, Any]) -> dict[str, Any]:
        text, finish, usage, likelihoods = "", "stop", {}, None
        chunks = self.stream(kind, model, body)
        async with contextlib.aclosing(chunks):
            async for chunk in chunks:
                usage = chunk.get("usage") or usage
                for choice in chunk["choices"]:
                    text += choice.get("text") or choice.get("delta", {}).get("content", "")
                    finish = choice["finish_reason"] or finish
                    likelihoods = choice.get("logprobs") or likelihoods
        choice = {"index": 0, "finish_reason": finish, "logprobs": likelihoods}
        said = {"role": "assistant", "content": text}
        choice |= {"message": said} if kind == "chat" else {"text": text}
        return {"choices": [choice], "usage": usage}

    async def stream(
        self, kind: Kind, model: str, body: dict[str, Any]
    ) -> AsyncIterator[dict[str, Any]]:
        ids = self._ids(kind, body)
        room = int(getattr(self.model.config, "max_position_embeddings", 2048)) - len(ids)
        if room < 1:
            message = f"the prompt has {len(ids)} tokens; the context ends before that"
            raise ApiError(400, message, "context_length_exceeded", "messages")
        for name in UNKNOWN:
            if body.get(name):
                raise ApiError(400, f"{name}: this engine has no such setting", None, name)
        async with self._turn:
            pieces, stopped = _Pieces(body.get("stop") or []), threading.Event()
            limit = min(int(body["max_tokens"]), room)
            work = asyncio.to_thread(self._generate, model, ids, body, limit, pieces, stopped)
            task = asyncio.ensure_future(work)
            task.add_done_callback(lambda _: pieces.put(None))
            try:
                while (text := await pieces.get()) is not None:
                    yield _chunk(kind, text)
                count, ended, likelihoods = await task
                yield _chunk(kind, "", "stop" if ended or pieces.found else "length", likelihoods)
                usage = {"prompt_tokens": len(ids), "completion_tokens": count}
                total = len(ids) + count
                yield {"choices": [], "usage": {**usage, "total_tokens": total}}
            finally:
                stopped.set()
                with contextlib.suppress(Exception):
                    await asyncio.shield(task)

    def _ids(self, kind: Kind, body: dict[str, Any]) -> list[int]:
        if kind == "text":
            return list(self.tokenizer(body["prompt"])["input_ids"])
        try:
            return prompt_ids(body["messages"], self.tokenizer)
        except Exception as error:  # templates raise jinja2 errors of many kinds
            message = f"the chat template refused the messages ({error})"
            raise ApiError(400, message, "invalid_value", "messages") from None

    def _generate(
        self,
        model: str,
        ids: list[int],
        body: dict[str, Any],
        limit: int,
        pieces: "_Pieces",
        stopped: threading.Event,
    ) -> tuple[int, bool, list[dict[str, Any]]]:
        """Number of new tokens, whether the answer ended by itself, likelihoods if asked for."""
        import torch
        from transformers import GenerationConfig, StoppingCriteria, TextStreamer

        class Told(StoppingCriteria):
            def __call__(self, *_: Any, **__: Any) -> Any:
                return torch.tensor([stopped.is_set() or pieces.found])

        class Stream(TextStreamer):
            def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
                pieces.add(text, stream_end)

        ends = end_tokens(self.model, self.tokenizer)
        greedy = body["temperature"] == 0
        sampling = {} if greedy else {k: body[k] for k in ("temperature", "top_p")}
        config = GenerationConfig(
            do_sample=not greedy,
            max_new_tokens=limit,
            pad_token_id=self.tokenizer.pad_token_id,
            eos_token_id=ends or None,
            return_dict_in_generate=True,
            output_logits=bool(body.get("logprobs")),
            **({} if greedy else {"top_k": 0, **sampling}),
        )
        inputs = torch.tensor([ids], device=self.model.device)
        off = model == "base" and self.source.adapter is not None
        with torch.no_grad(), self.model.disable_adapter() if off else contextlib.nullcontext():
            if body.get("seed") is not None:
                torch.manual_seed(body["seed"])
            output = self.model.generate(
                input_ids=inputs,
                attention_mask=torch.ones_like(inputs),
                generation_config=config,
                streamer=Stream(self.tokenizer, skip_prompt=True, skip_special_tokens=True),
                stopping_criteria=[Told()],
            )
        new = output.sequences[0, len(ids) :].tolist()
        return len(new), bool(new) and new[-1] in ends, _likelihoods(new, output.logits or ())

    async def close(self) -> None:
        self.model = self.tokenizer = None


class _Pieces:
    """Text from the generating thread to the event loop, cut at the first stop string."""

    def __init__(self, stops: list[str]) -> None:
        self.stops, self.found = stops, False
        self._held = ""
        self._longest = max(map(len, stops), default=1)
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()

    def add(self, text: str, last: bool) -> None:
        """Called in the thread; what may be the beginning of a stop string is held back."""
        if self.found:
            return
        self._held += text
        places = [self._held.find(stop) for stop in self.stops if stop in self._held]
        if places:
            self.found, self._held, last = True, self._held[: min(places)], True
        keep = 0 if last else self._longest - 1
        ready = self._held[: len(self._held) - keep]
        self._held = self._held[len(ready) :]
        if ready:
            self._loop.call_soon_threadsafe(self.put, ready)

    def put(self, text: str | None) -> None:
        self._queue.put_nowait(text)

    async def get(self) -> str | None:
        return await self._queue.get()


def _likelihoods(tokens: list[int], logits: Sequence[Any]) -> list[dict[str, Any]]:
    """Each token's log-likelihood, as the entries of OpenAI's `logprobs`; none without logits."""
    pairs = zip(tokens, logits, strict=False)  # (1, vocabulary) for each token
    return [{"id": t, "logprob": float(row[0].float().log_softmax(-1)[t])} for t, row in pairs]


def _chunk(
    kind: Kind, text: str, finish: str | None = None, likelihoods: Sequence[Any] = ()
) -> dict[str, Any]:
    place: dict[str, Any] = {"index": 0, "finish_reason": finish}
    place |= {"logprobs": {"content": list(likelihoods)}} if likelihoods else {}
    place |= {"delta": {"content": text} if text else {}} if kind == "chat" else {"text": text}
    return {"choices": [place]}
