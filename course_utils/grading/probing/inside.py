"""What runs in the sandbox: a base model, an adapter's two checked files, records in, numbers out.

Each function takes one JSON object and returns JSON. The submission's own code is never imported.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from course_utils import chat, compat, evaluation, tasks
from course_utils.errors import CourseError
from course_utils.generation import completion_nll, generate_answers
from course_utils.grading.probing import preload
from course_utils.metrics import loss_rows

ADAPTER = "adapter.safetensors"
SCORED, ANSWERED = 8, 16  # records at a time; each that is being answered keeps some 25 MB


def told(function: Callable[[Any], Any]) -> Callable[[Any], dict[str, Any]]:
    """{"value": ...}, or {"problem": [message, cure]} for what the course can explain."""

    @wraps(function)
    def wrapped(request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return {"value": function(request)}
        except CourseError as error:
            return {"problem": [error.message, error.cure]}

    return wrapped


@told
def load_report(request: Mapping[str, Any]) -> dict[str, Any]:
    """Which of the adapter's tensors found their layer, and which of the layers' found none."""
    base, _ = _base(request)
    model, found = _with_adapter(base, request)
    own = {name for name, _ in model.named_parameters() if "lora_" in name}
    missing = sorted(name for name in found.missing_keys if "lora_" in name)
    return {
        "layers": len({name.split(".lora_")[0] for name in own}),
        "missing": missing[:20],
        "unmatched": sorted(found.unexpected_keys)[:20],
        "counts": [len(missing), len(found.unexpected_keys)],
    }


@told
def losses(request: Mapping[str, Any]) -> list[list[float | int | None]]:
    """(negative log-likelihood in nats, tokens) of each record's answer; None: not finite."""
    model, tokenizer = _model(request)
    tokens = [chat.tokenize_record(record, tokenizer) for record in request["records"]]
    tokens = [example.cut(request["max_length"]) for example in tokens]
    return loss_rows(*completion_nll(model, tokenizer, tokens, SCORED))


@told
def answers(request: Mapping[str, Any]) -> list[list[str]]:
    """Greedy answers of each part; all share batches, each record with its own limit."""
    model, tokenizer = _model(request)
    prompts, limits = [], []
    for part in request["parts"]:
        limits += _limits(part, tokenizer)
        prompts += [chat.record_messages(r, tokenizer)["prompt"] for r in part["records"]]
    texts = iter(generate_answers(model, tokenizer, prompts, limits, request["batch_size"]))
    return [[next(texts) for _ in part["records"]] for part in request["parts"]]


def _limits(part: Mapping[str, Any], tokenizer: Any) -> list[int]:
    """Tokens that each answer may take: as `like` (records of training) say, or one number."""
    if not part["like"]:
        return [part["max_new_tokens"]] * len(part["records"])
    lengths = evaluation.answer_lengths(part["like"], tokenizer)
    most = max(lengths.values())
    return [lengths.get(tasks.task_of(record), most) for record in part["records"]]


def _model(request: Mapping[str, Any]) -> tuple[Any, Any]:
    base, tokenizer = _base(request)
    if request["adapter"] is None:
        return base, tokenizer
    model, _ = _with_adapter(base, request)
    if request["base"]["precision"] == "fp32" and request["base"]["quantization"] == "none":
        # A sixth of the time; where weights are rounded, the merged ones would be rounded again.
        model = model.merge_and_unload()
    return model, tokenizer


def _base(request: Mapping[str, Any]) -> tuple[Any, Any]:
    """The base model: the zygote's where it holds this one, else loaded here."""
    import torch

    torch.set_num_threads(request["threads"])
    compat.quiet_known_noise()
    base = request["base"]
    wanted = [base["folder"], base["precision"], base["quantization"]]
    if (held := preload.held(wanted)) is not None:
        return held
    return preload.load(wanted)


def _with_adapter(base: Any, request: Mapping[str, Any]) -> tuple[Any, Any]:
    """(the model with its adapter, which keys found no place). Nothing is imported or fetched.

    The adapter's configuration was checked outside; its weights are safetensors.
    """
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
    from safetensors.torch import load

    state = load(Path(ADAPTER).read_bytes())
    try:
        model = get_peft_model(base, LoraConfig(**request["adapter"], task_type="CAUSAL_LM"))
        found = set_peft_model_state_dict(model, state)
    except (RuntimeError, ValueError, KeyError) as error:
        raise CourseError(
            f"the adapter does not fit {request['base']['name']}: {_first(error)}",
            "the base model of your configuration must be the one that you trained on",
        ) from None
    return model.eval(), found


def _first(error: Exception) -> str:
    """The first two lines of a library's error, which name a layer and its shapes."""
    lines: Sequence[str] = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:300]
