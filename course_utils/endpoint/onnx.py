"""A merged model as ONNX: written by ONNX Runtime's own model builder, asked as its users ask it.

`torch.onnx.export` gives one forward pass without a cache; the builder writes all that generating
needs: the graph with its cache, the tokenizer, the chat template. It runs in a process of its own,
so that its copy of the weights is gone before the model is asked.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from course_utils.chat import Messages
from course_utils.endpoint import conversion
from course_utils.errors import CourseError

NEEDED = ("onnxruntime_genai", "onnx", "onnx_ir")
PRECISION = "fp32"  # exact; in 4 bits none of 24 answers of the embedded model stayed what it was


def check_installed() -> None:
    """CourseError when a package of requirements-onnx.txt is missing."""
    missing = [name for name in NEEDED if not find_spec(name)]
    if missing:
        raise CourseError(
            f"--onnx: {', '.join(missing)} not installed",
            "pip install -r requirements-onnx.txt -c constraints.txt",
        )


def build(model: Path, folder: Path) -> None:
    """Write a merged model as ONNX into a folder; CourseError when the builder doesn't take it."""
    with (
        conversion.told("merged model -> ONNX"),
        tempfile.TemporaryDirectory(prefix="course-onnx-") as work,
    ):
        (staged := Path(work, "model")).mkdir()
        conversion.with_chat_template(model, staged)
        command = [sys.executable, "-m", "onnxruntime_genai.models.builder"]
        command += ["-i", str(staged), "-o", str(folder), "-p", PRECISION, "-e", "cpu"]
        conversion.run_converter(
            [*command, "-c", str(Path(work, "cache"))],
            f"{model}: ONNX Runtime's model builder does not take this model",
            "export it with --merged or --gguf",
        )


def answers(folder: Path, prompts: Sequence[Messages], tokens: int) -> list[str]:
    """Greedy answers of at most so many tokens, through the export's own tokenizer and template.

    Raises CourseError when ONNX Runtime can't load or run what was built.
    """
    import onnxruntime_genai

    threads = {"intra_op_num_threads": conversion.idle_cores()}
    try:
        config = onnxruntime_genai.Config(str(folder))
        config.overlay(json.dumps({"model": {"decoder": {"session_options": threads}}}))
        model = onnxruntime_genai.Model(config)
        tokenizer = onnxruntime_genai.Tokenizer(model)
        return [_answer(model, tokenizer, prompt, tokens) for prompt in prompts]
    except RuntimeError as error:  # the only kind it raises
        raise CourseError(
            f"ONNX Runtime can't run what its model builder wrote ({str(error)[:200]})",
            "export it with --merged or --gguf",
        ) from None


def _answer(model: Any, tokenizer: Any, prompt: Messages, tokens: int) -> str:
    import onnxruntime_genai

    text = tokenizer.apply_chat_template(json.dumps(prompt), add_generation_prompt=True)
    start = tokenizer.encode(text)
    settings = onnxruntime_genai.GeneratorParams(model)
    settings.set_search_options(do_sample=False, max_length=len(start) + tokens)
    generator = onnxruntime_genai.Generator(model, settings)
    generator.append_tokens(start)
    while not generator.is_done():
        generator.generate_next_token()
    return str(tokenizer.decode(generator.get_sequence(0)[len(start) :])).strip()
