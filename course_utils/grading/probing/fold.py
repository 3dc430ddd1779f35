"""Runs in the sandbox: train one fold of week 5 again, with the kit's own train_lora.py."""

import importlib.util
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from course_utils import chat, compat, models, training
from course_utils.grading.probing.inside import told
from course_utils.lab import runs
from course_utils.metrics import loss_rows

SCRIPT, RECORDS = "grader_train_lora.py", "records.jsonl"


@told
def losses(request: Mapping[str, Any]) -> list[list[float | int | None]]:
    """(nats, tokens) of each held-out record, by an adapter trained on the other folds."""
    import torch

    torch.set_num_threads(request["threads"])
    compat.quiet_known_noise()
    lines = "".join(json.dumps(record) + "\n" for record in request["records"])
    Path(RECORDS).write_text(lines, encoding="utf-8")
    script = _script()
    words = shlex.split(request["command"])
    first = next((i for i, word in enumerate(words) if word.startswith("--")), len(words))
    options = script.read_arguments([*words[first:], "--data", RECORDS, "--out", "adapter"])
    options.base_model, options.seed = request["base"]["folder"], request["seed"]
    options.bf16 = options.fp16 = None  # this machine chooses, as it does for every submission
    runs.complete(options)
    settings = runs.settings_of(options)
    tokenizer = models.load_tokenizer(options.base_model)
    rest, held = runs.split_folds(request["records"], options)[request["fold"]]
    tokens = [chat.tokenize_record(record, tokenizer) for record in rest]
    rest, _ = training.usable(rest, tokens, settings.max_length)
    trainer, _ = script.new_trainer(options, settings, tokenizer, rest, [], keeps=False)
    trainer.train()
    return loss_rows(*script.score(trainer, tokenizer, held, options))


def _script() -> Any:
    spec = importlib.util.spec_from_file_location("grader_train_lora", Path(SCRIPT).resolve())
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
