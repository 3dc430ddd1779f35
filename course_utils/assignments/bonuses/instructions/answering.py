"""Asking a model the prompts, in the kit's plain format, and noting where it stops by itself."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from course_utils import chat, generation, models
from course_utils.assignments.bonuses.instructions.exercises import Exercise
from course_utils.errors import CourseError
from course_utils.generation import Answers

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NEXT_TURN = re.compile(r"\n?### ?\w+")  # where a model without an end goes on to the next role


def cut(answers: Answers) -> list[str]:
    """Each answer up to where the model goes on to the next role, as a stop string would do it."""
    return [cut_at_next_turn(text) for text in answers.texts]


def cut_at_next_turn(text: str) -> str:
    """The part of an answer before the first "### role"."""
    return NEXT_TURN.split(text, maxsplit=1)[0].strip()


def use_plain_format(tokenizer: "PreTrainedTokenizerBase", base_model: str) -> str:
    """Ask through the kit's plain format from now on; returns what that means for this model.

    The format (`models.PLAIN_TEMPLATE`) marks the roles in words; an answer ends with EOS.
    """
    plain = models.plain_template(tokenizer)
    had_one = tokenizer.chat_template not in (None, plain)
    tokenizer.chat_template = plain
    if not had_one:
        return f"{base_model}, a model without a chat format, asked through a plain text format."
    known = base_model in models.MADE_HERE
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
    """Greedy answers in the order of the prompts, through the tokenizer's chat template."""
    if not generation.end_tokens(model, tokenizer):
        raise CourseError("this model has no end-of-text token", "choose another base model")
    messages = [chat.record_messages(prompt.record, tokenizer)["prompt"] for prompt in prompts]
    return generation.generate(model, tokenizer, messages, max_new_tokens, batch_size, text)
