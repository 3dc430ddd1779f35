"""Record -> messages -> tokens, the completion mask, and the view of what the model sees."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from course_utils.schemas import SCHEMAS, schema_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Messages = list[dict[str, str]]

# kind of token -> (background colour, meaning); the letter is printed too, so grey is readable
KINDS = {
    "template": ("#d9d9d9", "chat template: masked"),
    "prompt": ("#cfe3ff", "prompt: masked"),
    "completion": ("#c9efc7", "completion: trained"),
    "end": ("#ffd27f", "end of answer (EOS): trained"),
    "cut": ("#f7b6b2", "cut off by max_length: never seen"),
}


def record_messages(
    record: dict[str, str], tokenizer: "PreTrainedTokenizerBase | None" = None
) -> dict[str, Any]:
    """One record of either schema as prompt and completion messages, as SFTTrainer takes them.

    With a tokenizer whose chat template knows no system role, the system text moves into the
    user's message; where the template takes arguments, they stand in "chat_template_kwargs".
    Raises CourseError for a record of neither schema.
    """
    schema = schema_of(record)
    if schema == "geology":
        question = record["instruction"]
        if record["context"]:
            question = f"{question}\n\nContext: {record['context']}"
        prompt = [{"role": "system", "content": record["system"]}] if record["system"] else []
        prompt.append({"role": "user", "content": question})
    else:  # manufacturing
        prompt = [{"role": "user", "content": record["instruction"]}]
        if record["input"]:
            prompt = [
                {"role": "system", "content": record["instruction"]},
                {"role": "user", "content": record["input"]},
            ]
    answer = record[SCHEMAS[schema].answer]
    if tokenizer is not None and not _knows_system(tokenizer):
        prompt = _fold_system(prompt)
    messages = {"prompt": prompt, "completion": [{"role": "assistant", "content": answer}]}
    if tokenizer is not None and template_arguments(tokenizer):
        # SFTTrainer reads them from this column; without it, training would see another template.
        messages["chat_template_kwargs"] = template_arguments(tokenizer)
    return messages


def few_shot_messages(
    record: dict[str, str],
    examples: Sequence[dict[str, str]],
    tokenizer: "PreTrainedTokenizerBase | None" = None,
) -> Messages:
    """The record's prompt after solved examples, each a user and an assistant turn.

    Where the instructions differ (each question is its own), one system message cannot speak for
    all turns: then every user turn begins with its instruction.
    """
    prompt = record_messages(record, tokenizer)["prompt"]
    solved = [record_messages(example, tokenizer) for example in examples]
    heads = [messages[0] for messages in (prompt, *(example["prompt"] for example in solved))]
    systems = [head for head in heads if head["role"] == "system"]
    if systems and any(head != systems[0] for head in heads):
        prompt = _fold_system(prompt)
        solved = [{**example, "prompt": _fold_system(example["prompt"])} for example in solved]
    shots: Messages = []
    for example in solved:
        shots += [example["prompt"][-1], *example["completion"]]
    system = [message for message in prompt if message["role"] == "system"]
    return [*system, *shots, prompt[-1]]


def _knows_system(tokenizer: "PreTrainedTokenizerBase") -> bool:
    """Whether the chat template renders a system message (some refuse it, some drop it)."""
    probe = [{"role": "system", "content": "probe-text"}, {"role": "user", "content": "x"}]
    try:
        return "probe-text" in tokenizer.apply_chat_template(probe, tokenize=False)
    except Exception:  # templates raise jinja2 errors of many kinds
        return False


def _fold_system(messages: Messages) -> Messages:
    if messages[0]["role"] != "system":
        return messages
    text = f"{messages[0]['content']}\n\n{messages[1]['content']}"
    return [{"role": "user", "content": text}, *messages[2:]]


def template_arguments(tokenizer: "PreTrainedTokenizerBase") -> dict[str, Any]:
    """Extra template arguments: thinking models must answer at once to be comparable."""
    return {"enable_thinking": False} if "enable_thinking" in tokenizer.chat_template else {}


def prompt_ids(messages: Messages, tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """Token ids of a prompt that ends where the assistant begins to write."""
    return _render(messages, tokenizer, add_generation_prompt=True)


def _render(
    messages: Messages, tokenizer: "PreTrainedTokenizerBase", add_generation_prompt: bool = False
) -> list[int]:
    encoded = tokenizer.apply_chat_template(
        messages,
        add_generation_prompt=add_generation_prompt,
        return_dict=True,
        **template_arguments(tokenizer),
    )
    return list(encoded["input_ids"])


@dataclass(frozen=True)
class Tokens:
    """Token ids of prompt + completion; the first `prompt_length` of them are masked."""

    input_ids: list[int]
    prompt_length: int

    @property
    def labels(self) -> list[int]:
        """What the loss sees: -100 for the prompt, the token itself for the completion."""
        return [-100] * self.prompt_length + self.input_ids[self.prompt_length :]

    @property
    def completion_length(self) -> int:
        return len(self.input_ids) - self.prompt_length

    def cut(self, max_length: int | None) -> "Tokens":
        """The same record cut at `max_length` tokens, from the end, as SFTTrainer does it."""
        if max_length is None or len(self.input_ids) <= max_length:
            return self
        return Tokens(self.input_ids[:max_length], min(self.prompt_length, max_length))


def tokenize_messages(
    prompt: Messages, completion: Messages, tokenizer: "PreTrainedTokenizerBase"
) -> Tokens:
    """Prompt and completion messages as token ids, masked exactly as SFTTrainer masks them.

    The completion begins where the rendered prompt and the rendered conversation part, so the mask
    comes from lengths. Never from the pad id: here pad = EOS, and EOS must be learned.
    """
    start = prompt_ids(prompt, tokenizer)
    whole = _render([*prompt, *completion], tokenizer)
    same = 0
    while same < min(len(start), len(whole)) and start[same] == whole[same]:
        same += 1
    return Tokens(whole, same)


def tokenize_record(record: dict[str, str], tokenizer: "PreTrainedTokenizerBase") -> Tokens:
    """`tokenize_messages` of one record."""
    messages = record_messages(record, tokenizer)
    return tokenize_messages(messages["prompt"], messages["completion"], tokenizer)


def count_tokens(record: dict[str, str], tokenizer: "PreTrainedTokenizerBase") -> int:
    """Tokens of prompt and completion together, template included."""
    return len(tokenize_record(record, tokenizer).input_ids)


def token_kinds(
    record: dict[str, str], tokenizer: "PreTrainedTokenizerBase", max_length: int | None = None
) -> list[tuple[str, str]]:
    """(text, kind) of each token; the kinds are the keys of KINDS."""
    tokens = tokenize_record(record, tokenizer)
    written = _written(record_messages(record, tokenizer)["prompt"], tokenizer)
    kinds: list[tuple[str, str]] = []
    for position, token in enumerate(tokens.input_ids):
        if max_length is not None and position >= max_length:
            kind = "cut"
        elif position >= tokens.prompt_length:
            kind = "end" if token == tokenizer.eos_token_id else "completion"
        else:
            kind = "prompt" if position in written else "template"
        kinds.append((tokenizer.decode([token]), kind))
    return kinds


def _written(prompt: Messages, tokenizer: "PreTrainedTokenizerBase") -> set[int]:
    """Places of the prompt's tokens that hold a message's own text; the template made the rest.

    Templates differ in how they mark a turn, so the texts are looked up in what was rendered.
    """
    text = tokenizer.apply_chat_template(
        prompt, add_generation_prompt=True, tokenize=False, **template_arguments(tokenizer)
    )
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    found: set[int] = set()
    end = 0
    for message in prompt:
        content = message["content"].strip()  # many templates strip it
        start = text.find(content, end)
        if start >= 0:
            end = start + len(content)
            found |= {
                place
                for place, (first, last) in enumerate(encoded["offset_mapping"])
                if first < end and last > start
            }
    return found


class TokenView:
    """Coloured tokens of one record; prints as HTML in a notebook and as marked text elsewhere."""

    def __init__(self, kinds: list[tuple[str, str]]) -> None:
        self.kinds = kinds

    def counts(self) -> dict[str, int]:
        """Tokens of each kind."""
        return {kind: sum(k == kind for _, k in self.kinds) for kind in KINDS}

    def _repr_html_(self) -> str:
        cells = []
        for text, kind in self.kinds:
            shown = html.escape(text).replace("\n", "&#9166;<br>").replace(" ", "&middot;")
            style = f"background:{KINDS[kind][0]};color:#111;padding:1px 2px;margin:1px"
            strike = ";text-decoration:line-through" if kind == "cut" else ""
            cells.append(f'<span title="{kind}" style="{style}{strike}">{shown}</span>')
        counts = self.counts()
        legend = " ".join(
            f'<span style="background:{colour};color:#111;padding:1px 6px">'
            f"{meaning} ({counts[kind]})</span>"
            for kind, (colour, meaning) in KINDS.items()
        )
        body = f'<div style="font-family:monospace;line-height:1.9">{"".join(cells)}</div>'
        return f'<div>{body}<div style="margin-top:8px;font-size:90%">{legend}</div></div>'

    def __repr__(self) -> str:
        parts, last = [], None
        for text, kind in self.kinds:
            parts.append(f"\n[{kind}] {text}" if kind != last else text)
            last = kind
        counts = ", ".join(f"{kind} {count}" for kind, count in self.counts().items())
        return "".join(parts).strip() + f"\n\ntokens: {counts}"


def show_tokens(
    record: dict[str, str], tokenizer: "PreTrainedTokenizerBase", max_length: int | None = None
) -> TokenView:
    """What the model sees of one record, token by token."""
    return TokenView(token_kinds(record, tokenizer, max_length))
