"""Batched greedy generation and completion log-likelihoods, with the shared prefix computed once.

All prompts of a task begin alike (instruction, few-shot examples). That common prefix is run
through the model once and its key/value cache is reused for every batch.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from course_utils.chat import Messages, Tokens, prompt_ids
from course_utils.hardware import trim_heap
from course_utils.progress import report_progress

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

SHORTEST_PREFIX = 16  # tokens; below that a cache saves less than its copies cost
# Tokens that are scored at once: 32 reports of 938 tokens made a training of 5.8 GiB end in 8.9.
SCORED_TOKENS = 8192
# Shortest over longest sequence of a batch: what is padded is computed for nothing. A batch of
# answers costs as many steps as its longest answer, so fewer batches are worth some padding.
SCORED_ALIKE, ANSWERED_ALIKE = 0.8, 0.5
FEW = 32  # tokens of padding that are worth no batch of their own


def common_prefix(sequences: Sequence[Sequence[int]]) -> int:
    """Length of the token prefix that all sequences share, leaving each at least one token."""
    shortest = min(len(sequence) for sequence in sequences) - 1
    first, length = sequences[0], 0
    while length < shortest and all(s[length] == first[length] for s in sequences):
        length += 1
    return length if length >= SHORTEST_PREFIX else 0


def _prefix_cache(model: Any, prefix: Sequence[int]) -> Any:
    """Key/value cache of the shared prefix, for one sequence."""
    import torch
    from transformers import DynamicCache

    if not prefix:
        return None
    with torch.no_grad():
        ids = torch.tensor([list(prefix)], device=model.device)
        return model(ids, past_key_values=DynamicCache(), logits_to_keep=1).past_key_values


def _expanded(cache: Any, batch_size: int) -> Any:
    """A copy of a one-sequence cache for a batch that is scored in one pass."""
    if cache is None:
        return None
    cache = copy.deepcopy(cache)
    cache.batch_repeat_interleave(batch_size)
    return cache


def _generation_cache(model: Any, prefix: Any, batch_size: int, length: int) -> Any:
    """A cache with room for `length` tokens, filled with the prefix.

    A growing cache is copied at every token; with the allocator settings of training the holes it
    leaves added up to gigabytes.
    """
    from transformers import StaticCache

    cache = StaticCache(config=model.config, max_cache_len=length)
    for index, layer in enumerate(prefix.layers if prefix else []):
        shape = (batch_size, -1, -1, -1)
        cache.update(layer.keys.expand(shape), layer.values.expand(shape), index)
    return cache


def _padded(
    sequences: Sequence[Sequence[int]], prefix: int, pad: int, device: Any
) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Ids and attention mask (B, T): the shared prefix, then padding, then the rest of each."""
    import torch

    width = max(len(sequence) for sequence in sequences)
    ids, mask = [], []
    for sequence in sequences:
        gap = width - len(sequence)
        ids.append([*sequence[:prefix], *[pad] * gap, *sequence[prefix:]])
        mask.append([1] * prefix + [0] * gap + [1] * (len(sequence) - prefix))
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def _batches(
    lengths: Sequence[int],
    size: int,
    text: str,
    tokens: int | None = None,
    alike: float = 0.0,
    prefix: int = 0,
) -> Iterator[list[int]]:
    """Index batches, longest first (so that memory runs out at once or never), with a bar.

    `tokens` limits a batch of long sequences, padding included; one sequence is always taken. No
    sequence, without the shared `prefix`, is less than the share `alike` of its batch's longest.
    """
    from tqdm.auto import tqdm

    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    batches: list[list[int]] = []
    while order:
        longest = lengths[order[0]]
        rows = min(size, max(1, tokens // longest)) if tokens else size
        least = min(prefix + alike * (longest - prefix), longest - FEW)
        batch = [index for index in order[:rows] if lengths[index] >= least]
        batches.append(batch)
        order = order[len(batch) :]
    for number, batch in enumerate(tqdm(batches, desc=text, unit="batch", leave=False)):
        report_progress(number, len(batches), text)
        yield batch
        # In a notebook the holes between batches added up to 12 GiB over fifteen of them.
        trim_heap(collect=False)


@dataclass(frozen=True)
class Answers:
    """Greedy answers, and whether each ended by itself before the token limit."""

    texts: list[str]
    stopped: list[bool]


def end_tokens(model: Any, tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """Every token that ends an answer: the model's own and the tokenizer's; none is possible."""
    own = model.generation_config.eos_token_id
    own = own if isinstance(own, list) else [own]
    return sorted({token for token in (*own, tokenizer.eos_token_id) if token is not None})


def generate(
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[Messages],
    max_new_tokens: int | Sequence[int],
    batch_size: int = 32,
    text: str = "generating",
) -> Answers:
    """Greedy answers to prompts, in their order; prompt tokens are cut off by count, not by text.

    `max_new_tokens` is one limit for all, or one for each prompt, so that prompts of several tasks
    share a batch. Greedy, so the same model and machine give the same answers twice.
    """
    import torch
    from transformers import GenerationConfig

    if not prompts:
        return Answers([], [])
    one = isinstance(max_new_tokens, int)
    limits = [max_new_tokens] * len(prompts) if one else list(max_new_tokens)
    sequences = [prompt_ids(messages, tokenizer) for messages in prompts]
    prefix = common_prefix(sequences)
    cache = _prefix_cache(model, sequences[0][:prefix])
    ends = end_tokens(model, tokenizer)
    texts, stopped = [""] * len(prompts), [False] * len(prompts)
    lengths = [len(sequence) for sequence in sequences]
    for batch in _batches(lengths, batch_size, text, alike=ANSWERED_ALIKE, prefix=prefix):
        ids, mask = _padded(
            [sequences[i] for i in batch], prefix, tokenizer.pad_token_id, model.device
        )
        width, own = ids.shape[1], [limits[i] for i in batch]
        config = GenerationConfig(
            do_sample=False,
            max_new_tokens=max(own),
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=ends or None,
            disable_compile=True,  # compiling costs minutes, again for every batch size
        )
        with torch.no_grad():
            output = model.generate(
                input_ids=ids,
                attention_mask=mask,
                generation_config=config,
                past_key_values=_generation_cache(model, cache, len(batch), width + max(own)),
                stopping_criteria=[_at_own_limit(width, own)],
            )
        new = output[:, width:].tolist()  # (B, new tokens)
        for index, tokens in zip(batch, new, strict=True):
            row = tokens[: limits[index]]
            stopped[index] = any(token in ends for token in row)
            texts[index] = tokenizer.decode(row, skip_special_tokens=True).strip()
    return Answers(texts, stopped)


def _at_own_limit(width: int, limits: Sequence[int]) -> Any:
    """Ends each answer of a batch at its own limit, so that a batch ends with its last one."""
    import torch

    def reached(ids: "torch.Tensor", *_: Any, **__: Any) -> "torch.Tensor":
        return torch.tensor([ids.shape[1] - width >= limit for limit in limits], device=ids.device)

    return reached


def generate_answers(
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[Messages],
    max_new_tokens: int | Sequence[int],
    batch_size: int = 32,
    text: str = "generating",
) -> list[str]:
    """The texts of `generate`: greedy answers to prompts, in their order."""
    return generate(model, tokenizer, prompts, max_new_tokens, batch_size, text).texts


def question_cost(
    prompts: Sequence[Messages], answers: Sequence[str], tokenizer: "PreTrainedTokenizerBase"
) -> dict[str, int]:
    """Mean tokens of a question: of the prompt that is read, and of the answer that is written."""
    read = sum(len(prompt_ids(prompt, tokenizer)) for prompt in prompts)
    written = sum(len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in answers)
    return {"prompt": round(read / len(prompts)), "answer": round(written / len(answers))}


def completion_nll(
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    examples: Sequence[Tokens],
    batch_size: int = 32,
    text: str = "scoring",
) -> tuple[list[float], list[int]]:
    """Negative log-likelihood (nats, summed) and token count of each example's completion.

    Perplexity over a set is exp(sum of the first / sum of the second). An example without
    completion tokens counts (0.0, 0). Only the logits of completions are computed.
    """
    import torch

    nll, counts = [0.0] * len(examples), [e.completion_length for e in examples]
    scored = [i for i, e in enumerate(examples) if e.completion_length > 0 and e.prompt_length > 0]
    if not scored:
        return nll, counts
    prefix = common_prefix([examples[i].input_ids[: examples[i].prompt_length] for i in scored])
    cache = _prefix_cache(model, examples[scored[0]].input_ids[:prefix])
    lengths = [len(examples[i].input_ids) for i in scored]
    for positions in _batches(lengths, batch_size, text, SCORED_TOKENS, SCORED_ALIKE, prefix):
        batch = [scored[position] for position in positions]
        sequences = [examples[i].input_ids for i in batch]
        ids, mask = _padded(sequences, prefix, tokenizer.pad_token_id, model.device)
        keep = max(counts[i] for i in batch) + 1  # one more: the token before predicts the first
        with torch.no_grad():
            logits = model(
                input_ids=ids[:, prefix:],
                attention_mask=mask,
                position_ids=(mask.cumsum(1) - 1).clamp(min=0)[:, prefix:],
                past_key_values=_expanded(cache, len(batch)),
                logits_to_keep=keep,
            ).logits  # (B, keep, vocabulary)
        for row, index in enumerate(batch):
            count = counts[index]
            losses = torch.nn.functional.cross_entropy(
                logits[row, -count - 1 : -1].float(), ids[row, -count:], reduction="sum"
            )
            nll[index] = float(losses)
    return nll, counts


def measure_latency(
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[Messages],
    mode: str,
    new_tokens: int = 24,
) -> dict[str, Any]:
    """Seconds and tokens per second of one batch that generates exactly `new_tokens` each.

    The length is fixed, so that rows of the table differ by the machine and not by the answers.
    """
    import time

    import torch
    from transformers import GenerationConfig

    ids, mask = _padded(
        [prompt_ids(messages, tokenizer) for messages in prompts],
        0,
        tokenizer.pad_token_id,
        model.device,
    )
    config = GenerationConfig(
        do_sample=False,
        min_new_tokens=new_tokens,
        max_new_tokens=new_tokens,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    seconds = []
    for _ in range(2):  # the first pass warms up caches; the faster one counts
        started = time.perf_counter()
        with torch.no_grad():
            model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
        if model.device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    best = min(seconds)
    return {
        "mode": mode,
        "batch_size": len(prompts),
        "seconds": best,
        "tokens_per_second": len(prompts) * new_tokens / best,
    }
