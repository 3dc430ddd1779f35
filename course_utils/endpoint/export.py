"""A fine-tuned model in another format, checked against its source, with a model card.

course export runs/manufacturing-cpu --merged
course export runs/manufacturing-cpu --gguf q8_0
course export runs/manufacturing-cpu --onnx
"""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_utils import metrics, models, ownership
from course_utils.chat import Messages, record_messages
from course_utils.endpoint import card, conversion
from course_utils.endpoint import onnx as onnx_model
from course_utils.endpoint.llamacpp import LlamaCpp, Weights
from course_utils.endpoint.source import Source, find
from course_utils.errors import CourseError
from course_utils.files import write_json_atomic, write_text_atomic
from course_utils.generation import generate_answers
from course_utils.records import read_records

PROMPTS = 20
TOKENS = 56  # of an answer: a whole record
# Percent of the answers that must be the source's, word for word. Merging and another engine in the
# same 32 bits only sum in another order; 16 bits a weight round; 8 bits may change words, so there
# the task's score is what counts.
LEAST = {"merged": 100, "onnx": 100, "f16": 90, "q8_0": 0}
QUESTIONS = [
    f"{thing}: {question}"
    for thing in ("A bearing runs hot", "A pump leaks", "A belt slips", "A drill chatters")
    for question in (
        "what is the likely cause?",
        "what is checked first?",
        "who is told?",
        "how long may the machine run on?",
        "write the work order.",
    )
]


__all__ = ["find", "gguf", "merged", "onnx"]


@dataclass(frozen=True)
class Agreement:
    """Answers of the export beside those of its source."""

    same: int
    of: int
    score: str  # the name of the task's score; empty without test records
    source_score: float | None
    export_score: float | None

    def told(self) -> str:
        """One line for the terminal and the card."""
        line = f"{self.same} of {self.of} greedy answers are those of the source model"
        if self.source_score is None or self.export_score is None:
            return line
        loss = self.source_score - self.export_score
        told = f"loss {loss:.3f}" if loss > 0 else f"gain {-loss:.3f}" if loss < 0 else "no loss"
        return (
            f"{line}; {self.score} {self.export_score:.3f} against {self.source_score:.3f} of the "
            f"source ({told})"
        )


def merged(source: Source, out: Path) -> tuple[Path, Agreement]:
    """Save the merged model as safetensors; all of its answers must be the source's."""
    if source.adapter is None:
        raise CourseError(f"{source.folder}: this model is merged already", "use it as it is")

    def make(folder: Path, prompts: Sequence[Messages]) -> list[str]:
        conversion.merge(source, folder)
        tokenizer, model = models.load_tokenizer(str(folder)), models.load_model(str(folder))
        return generate_answers(model, tokenizer, prompts, TOKENS, 4, "checking the export")

    return _exported(source, "merged", out, make)


def gguf(source: Source, form: str, out: Path) -> tuple[Path, Agreement]:
    """Save the (merged) model as GGUF for llama.cpp, Ollama and the like."""
    convert = conversion.merged_file if source.adapter else conversion.base_file
    file = convert(source, form)

    def make(folder: Path, prompts: Sequence[Messages]) -> list[str]:
        folder.mkdir()
        shutil.copyfile(file, folder / f"model-{form}.gguf")
        return asyncio.run(_answers_of_engine(file, prompts))

    return _exported(source, form, out, make)


def onnx(source: Source, out: Path) -> tuple[Path, Agreement]:
    """Save the (merged) model as ONNX for ONNX Runtime; all of its answers must be the source's.

    Raises CourseError when requirements-onnx.txt is not installed.
    """
    onnx_model.check_installed()

    def make(folder: Path, prompts: Sequence[Messages]) -> list[str]:
        with tempfile.TemporaryDirectory(prefix="course-") as work:
            whole = conversion.merge(source, Path(work)) if source.adapter else source.folder
            onnx_model.build(whole, folder)
        return onnx_model.answers(folder, prompts, TOKENS)

    return _exported(source, "onnx", out, make)


def _exported(
    source: Source, kind: str, out: Path, make: Callable[[Path, Sequence[Messages]], list[str]]
) -> tuple[Path, Agreement]:
    """What `make` writes into a folder, once its answers to the prompts agree with the source's."""
    prompts, truths = _prompts(source)
    expected = _answers_of_source(source, prompts)
    ownership.claim(out, of=f"export {source.folder.absolute().name}")
    with ownership.saving(out) as folder:
        answers = make(folder, prompts)
        agreement = _compared(kind, expected, answers, truths, folder)
    _write_facts(source, out, kind, agreement)
    return out, agreement


def _prompts(source: Source) -> tuple[list[Messages], list[str]]:
    """Up to twenty test records of the run with their true answers; without, twenty questions.

    Raises CourseError with the line of a record that can't be read.
    """
    path = source.folder / "data" / "test.jsonl"
    if not path.is_file():
        return [[{"role": "user", "content": text}] for text in QUESTIONS], []
    records = read_records(path)[:PROMPTS]
    tokenizer = models.load_tokenizer(str(source.base))
    found = [record_messages(record, tokenizer) for record in records]
    return [m["prompt"] for m in found], [m["completion"][0]["content"] for m in found]


def _answers_of_source(source: Source, prompts: Sequence[Messages]) -> list[str]:
    conversion.use_idle_cores()
    tokenizer = models.load_tokenizer(str(source.base))
    model: Any = models.load_model(str(source.base))
    if source.adapter is not None:
        model = models.load_adapter(model, source.adapter)
    return generate_answers(model, tokenizer, prompts, TOKENS, 4, "asking the source")


async def _answers_of_engine(file: Path, prompts: Sequence[Messages]) -> list[str]:
    engine = LlamaCpp({"tuned": Weights(file)}, slots=4)
    await engine.start()

    async def one(prompt: Messages) -> str:
        body = {"messages": prompt, "max_tokens": TOKENS, "temperature": 0.0, "top_p": 1.0}
        found = await engine.answer("chat", "tuned", body)
        return str(found["choices"][0]["message"]["content"]).strip()

    try:
        return list(await asyncio.gather(*(one(prompt) for prompt in prompts)))
    finally:
        await engine.close()


def needed(kind: str, asked: int) -> int:
    """How many of so many answers must agree, rounded up.

    Where rounding may turn answers at all, it may turn one of a few.
    """
    least = -(-LEAST[kind] * asked // 100)
    return min(least, max(1, asked - 1)) if LEAST[kind] < 100 else least


def _compared(
    kind: str, expected: list[str], answers: list[str], truths: list[str], unfinished: Path
) -> Agreement:
    """CourseError, and nothing is left, when fewer answers agree than rounding explains."""
    same = sum(a == b for a, b in zip(expected, answers, strict=True))
    name, scores = _scores(truths, expected, answers)
    least = needed(kind, len(expected))
    if same < least:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise CourseError(
            f"only {same} of {len(expected)} greedy answers agree with the source model; "
            f"{least} are needed for {kind}",
            "the conversion is not faithful for this base model: report which one it is",
        )
    return Agreement(same, len(expected), name, *scores)


def _scores(truths: list[str], *answers: list[str]) -> tuple[str, tuple[float | None, ...]]:
    """The score's name, and its value for each list of answers; none without true answers."""
    if not truths:
        return "", tuple(None for _ in answers)
    found = [metrics.answer_score(given, truths) for given in answers]
    return found[0][0], tuple(value for _, value in found)


def _write_facts(source: Source, out: Path, kind: str, agreement: Agreement) -> None:
    write_text_atomic(out / "README.md", card.text(source, kind, agreement.told()))
    facts = {"base_model": models.id_of(source.base_name), "format": kind, "same": agreement.same}
    facts |= {"of": agreement.of, "score": agreement.score}
    facts |= {"source": agreement.source_score, "export": agreement.export_score}
    write_json_atomic(out / "agreement.json", facts)
