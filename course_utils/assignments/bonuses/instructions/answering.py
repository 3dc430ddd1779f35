"""Asking a model the prompts, in the kit's plain format, and noting where it stops by itself."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from course_utils import chat, generation, models
from course_utils.assignments.bonuses.instructions.exercises import Exercise
from course_utils.errors import CourseError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NEXT_TURN = re.compile(r"\n?### ?\w+")  # where a model without an end goes on to the next role


@dataclass(frozen=True)
class Answers:
    """Greedy answers, and whether each ended by itself (EOS) before the token limit."""

    texts: list[str]
    stopped: list[bool]

    def cut(self) -> "Answers":
        """Each answer up to where the model goes on to the next role, as a stop string would."""
        return Answers([cut_at_next_turn(text) for text in self.texts], self.stopped)


def cut_at_next_turn(text: str) -> str:
    """The part of an answer before the first "### role"."""
    return NEXT_TURN.split(text, maxsplit=1)[0].strip()


def use_plain_format(tokenizer: "PreTrainedTokenizerBase", base_model: str) -> str:
    """Ask through the kit's plain format from now on; returns what that means for this model.

    The format (`models.PLAIN_TEMPLATE`) marks the roles in words; an answer ends with EOS.
    """
    had_one = tokenizer.chat_template not in (None, models.PLAIN_TEMPLATE)
    tokenizer.chat_template = models.PLAIN_TEMPLATE
    if not had_one:
        return f"{base_model}, a model without a chat format, asked through a plain text format."
    known = base_model in (models.EMBEDDED, "nano")
    return (
        f"{base_model}, asked through a plain text continuation format in place of its own chat "
        f"template{', a format it was never trained on' if known else ''}. "
        "That stands in for a model without a chat format"
        + ("; it is not a base model, it has had instruction training before."
           if base_model == models.EMBEDDED else ".")
    )  # fmt: skip


def answer_prompts(
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[Exercise],
    max_new_tokens: int,
    batch_size: int = 16,
    text: str = "answering",
) -> Answers:
    """Greedy answers in the order of the prompts, through the tokenizer's chat template.

    Unlike `generation.generate_answers` it tells which answers stopped by themselves.
    """
    import torch
    from transformers import GenerationConfig

    messages = [chat.record_messages(prompt.record, tokenizer)["prompt"] for prompt in prompts]
    sequences = [chat.prompt_ids(one, tokenizer) for one in messages]
    ends = end_tokens(model, tokenizer)
    config = GenerationConfig(
        do_sample=False, max_new_tokens=max_new_tokens, pad_token_id=tokenizer.pad_token_id,
        eos_token_id=ends, disable_compile=True,
    )  # fmt: skip
    texts, stopped = [""] * len(prompts), [False] * len(prompts)
    for batch in generation._batches([len(s) for s in sequences], batch_size, text):
        own = [sequences[i] for i in batch]
        ids, mask = generation._padded(own, 0, tokenizer.pad_token_id, model.device)
        with torch.no_grad():
            output = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
        for index, row in zip(batch, output[:, ids.shape[1] :].tolist(), strict=True):
            end = next((at for at, token in enumerate(row) if token in ends), None)
            stopped[index] = end is not None
            texts[index] = tokenizer.decode(row[:end], skip_special_tokens=True).strip()
    return Answers(texts, stopped)


def end_tokens(model: Any, tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """Every token that ends an answer: the model's own and the tokenizer's."""
    own = model.generation_config.eos_token_id
    own = own if isinstance(own, list) else [own]
    found = {token for token in (*own, tokenizer.eos_token_id) if token is not None}
    if not found:
        raise CourseError("this model has no end-of-text token", "choose another base model")
    return sorted(found)
