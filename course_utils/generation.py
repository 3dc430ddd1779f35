"""Batched greedy generation and completion log-likelihoods, with the shared prefix computed once.

All prompts of a task begin alike (instruction, few-shot examples). That common prefix is run
through the model once and its key/value cache is reused for every batch. How answers are written,
many at a time: decoding.py.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from course_utils.chat import Messages, Tokens, prompt_ids
from course_utils.decoding import Decoder
from course_utils.errors import CourseError
from course_utils.hardware import trim_heap
from course_utils.progress import report_progress

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

SHORTEST_PREFIX = 16  # tokens; below that a cache saves less than its copies cost
# Tokens that are read at once: 32 reports of 938 tokens made a training of 5.8 GiB end in 8.9.
READ_TOKENS = 8192
ALIKE = 0.8  # shortest over longest text that are read at once: padding is computed for nothing
FEW = 32  # tokens of padding that are worth no batch of their own
# What is done with prompts that were read, given (indices, logits of the next tokens, attention
# mask, cache), before answers are written; and how many tokens it puts behind a prompt.
Scoring = tuple[Callable[[list[int], Any, Any, Any], None], int]
# Places whose logits are held at once: 0.19 GiB of a vocabulary of 49,152, 1.0 GiB of 262,144.
SCORED_PLACES = 1024


def common_prefix(sequences: Sequence[Sequence[int]]) -> int:
    """Length of the token prefix that all sequences share, leaving each at least one token."""
    shortest = min(len(sequence) for sequence in sequences) - 1
    first, length = sequences[0], 0
    while length < shortest and all(s[length] == first[length] for s in sequences):
        length += 1
    return length if length >= SHORTEST_PREFIX else 0


def _shared_prefix(model: Any, sequences: Sequence[Sequence[int]], longest: int) -> int:
    """Length of the prefix that is computed once; `longest` is that of a whole text, in tokens.

    0 where a model looks back over a window that is shorter than that: the padding that stands
    between the prefix and the rest of a short row would count in it.
    """
    window = getattr(model.config.get_text_config(), "sliding_window", None)
    return 0 if window and longest > window else common_prefix(sequences)


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
    from transformers import DynamicCache

    if cache is None:
        return DynamicCache()
    cache = copy.deepcopy(cache)
    cache.batch_repeat_interleave(batch_size)
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


def _longest_first(lengths: Sequence[int]) -> list[int]:
    """Indices in the order in which memory runs out at once or never."""
    return sorted(range(len(lengths)), key=lambda index: -lengths[index])


def _like(
    waiting: Sequence[int],
    lengths: Sequence[int],
    rows: int,
    tokens: int,
    alike: float,
    prefix: int,
) -> list[int]:
    """Those of the waiting, longest first, that are run through the model together.

    `tokens` limits them, padding included; the first is always taken. None, without the shared
    `prefix`, is shorter than the share `alike` of the longest.
    """
    longest = lengths[waiting[0]]
    rows = min(rows, max(1, tokens // longest))
    least = min(prefix + alike * (longest - prefix), longest - FEW)
    return [index for index in waiting[:rows] if lengths[index] >= least]


def _batches(
    lengths: Sequence[int], size: int, text: str, tokens: int, alike: float = 0.0, prefix: int = 0
) -> Iterator[list[int]]:
    """Index batches, longest first, with a bar."""
    from tqdm.auto import tqdm

    require_positive(batch_size=size)
    waiting = _longest_first(lengths)
    batches: list[list[int]] = []
    while waiting:
        batches.append(_like(waiting, lengths, size, tokens, alike, prefix))
        waiting = waiting[len(batches[-1]) :]
    for number, batch in enumerate(tqdm(batches, desc=text, unit="batch", leave=False)):
        report_progress(number, len(batches), text)
        yield batch
        # In a notebook the holes between batches added up to 12 GiB over fifteen of them.
        trim_heap(collect=False)


def require_positive(**sizes: int) -> None:
    """CourseError for a size below 1: a batch of no rows would never come to its end."""
    for name, size in sizes.items():
        if size < 1:
            raise CourseError(f"{name} is {size}", "give 1 or more")


@dataclass(frozen=True)
class Answers:
    """Greedy answers, whether each ended by itself before the token limit, and its tokens.

    The token that ends an answer counts.
    """

    texts: list[str]
    stopped: list[bool]
    tokens: list[int] = field(default_factory=list)


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
    """Greedy answers to prompts, in their order; at most `batch_size` are written at a time.

    `max_new_tokens` is one limit for all, or one for each prompt, so that prompts of several tasks
    share a batch. Greedy, so the same model and machine give the same answers twice.
    """
    sequences = [prompt_ids(messages, tokenizer) for messages in prompts]
    return _answers(model, tokenizer, sequences, max_new_tokens, batch_size, text)


def generate_and_score(
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[Messages],
    examples: Sequence[Tokens],
    max_new_tokens: int | Sequence[int],
    batch_size: int = 32,
    text: str = "generating",
) -> tuple[Answers, list[float], list[int]]:
    """`generate` to prompts and `completion_nll` of the examples that begin with them.

    Each prompt is read once for both (what that saves: benchmarks/README.md, answering.py).
    """
    sequences = [prompt_ids(messages, tokenizer) for messages in prompts]
    counts = [example.completion_length for example in examples]
    starts = [example.input_ids[: example.prompt_length] for example in examples]
    if starts != sequences:  # a tokenizer that joins the end of a prompt with the answer's start
        nll, _ = completion_nll(model, tokenizer, examples, batch_size, f"{text}, likelihood")
        found = _answers(model, tokenizer, sequences, max_new_tokens, batch_size, text)
        return found, nll, counts
    nll = [0.0] * len(examples)

    def score(batch: list[int], logits: Any, mask: Any, cache: Any) -> None:
        completions = [examples[i].input_ids[len(sequences[i]) :] for i in batch]
        own = _nll_behind(model, completions, logits, mask, cache).tolist()
        for index, value in zip(batch, own, strict=True):
            nll[index] = value

    scoring = (score, max(counts, default=0))
    found = _answers(model, tokenizer, sequences, max_new_tokens, batch_size, text, scoring)
    return found, nll, counts


def _answers(
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    sequences: Sequence[Sequence[int]],
    max_new_tokens: int | Sequence[int],
    size: int,
    text: str,
    scoring: Scoring | None = None,
) -> Answers:
    if not sequences:
        return Answers([], [])
    one = isinstance(max_new_tokens, int)
    limits = [max_new_tokens] * len(sequences) if one else list(max_new_tokens)
    require_positive(batch_size=size, max_new_tokens=min(limits, default=1))
    ends = end_tokens(model, tokenizer)
    written = _written(model, tokenizer, sequences, limits, ends, size, text, scoring)
    return Answers(
        [tokenizer.decode(row, skip_special_tokens=True).strip() for row in written],
        [row[-1] in ends for row in written],
        [len(row) for row in written],
    )


def _written(
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    sequences: Sequence[Sequence[int]],
    limits: Sequence[int],
    ends: Sequence[int],
    size: int,
    text: str,
    scoring: Scoring | None,
) -> list[list[int]]:
    """Token ids of the answers, with the token that ended each; a bar counts them."""
    from tqdm.auto import tqdm

    lengths = [len(sequence) for sequence in sequences]
    score, behind = scoring or (None, 0)
    prefix = _shared_prefix(model, sequences, max(lengths) + max(behind, *limits))
    cache = _prefix_cache(model, sequences[0][:prefix])

    def read(batch: list[int]) -> tuple["torch.Tensor", "torch.Tensor", Any]:
        """Logits of the next tokens (B, vocabulary), attention mask (B, T), keys and values."""
        own = [sequences[i] for i in batch]
        ids, mask = _padded(own, prefix, tokenizer.pad_token_id, model.device)
        logits, filled = _read(model, ids, mask, prefix, cache, keep=1)
        if score is not None:
            score(batch, logits[:, -1], mask, filled)
        trim_heap(collect=False)
        return logits[:, -1], mask, filled

    def choose(waiting: list[int], room: int) -> list[int]:
        return _like(waiting, lengths, room, READ_TOKENS, ALIKE, prefix)

    decoder = Decoder(model, sequences, limits, ends, read)
    with tqdm(total=len(sequences), desc=text, unit="answer", leave=False) as bar:
        for done, _ in enumerate(decoder.run(_longest_first(lengths), size, choose), 1):
            bar.update()
            report_progress(done, len(sequences), text)
    return decoder.written


def _read(
    model: Any, ids: "torch.Tensor", mask: "torch.Tensor", prefix: int, cache: Any, keep: int
) -> tuple["torch.Tensor", Any]:
    """Run padded sequences through the model behind their shared prefix.

    Returns the logits of their last `keep` places (B, keep, vocabulary), and the cache.
    """
    import torch

    with torch.no_grad():
        found = model(
            input_ids=ids[:, prefix:],
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0)[:, prefix:],
            past_key_values=_expanded(cache, len(ids)),
            use_cache=True,
            logits_to_keep=keep,
        )
    return found.logits, found.past_key_values


def _nll_behind(
    model: Any,
    completions: Sequence[Sequence[int]],
    logits: "torch.Tensor",
    mask: "torch.Tensor",
    cache: Any,
) -> "torch.Tensor":
    """Nats, summed, of completions behind prompts that were read (B,).

    `logits` (B, vocabulary) are those of the next tokens, `mask` (B, T) and `cache` the prompts';
    the cache is left as it was.
    """
    import torch

    longest = max(1, *map(len, completions))
    labels = torch.tensor([[*own, *[-100] * (longest - len(own))] for own in completions]).to(mask)
    ids = labels.clamp(min=0)  # padding stands behind the completions, and nothing looks at it
    places = mask.sum(1, keepdim=True)
    cache = copy.deepcopy(cache)
    nll = torch.nn.functional.cross_entropy(logits.float(), labels[:, 0], reduction="none")
    step = max(1, SCORED_PLACES // len(ids))
    for start in range(0, longest - 1, step):
        end = min(start + step, longest - 1)
        mask = torch.nn.functional.pad(mask, (0, end - start), value=1)
        with torch.no_grad():
            logits = model(
                input_ids=ids[:, start:end],
                attention_mask=mask,
                position_ids=places + torch.arange(start, end, device=places.device),
                past_key_values=cache,
                use_cache=True,
            ).logits
        nll += torch.nn.functional.cross_entropy(
            logits.float().transpose(1, 2), labels[:, start + 1 : end + 1], reduction="none"
        ).sum(1)
    return nll


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
    completion tokens counts (0.0, 0).
    """
    losses = token_nll(model, tokenizer, examples, batch_size, text)
    return [float(own.sum()) for own in losses], [e.completion_length for e in examples]


def token_nll(
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    examples: Sequence[Tokens],
    batch_size: int = 32,
    text: str = "scoring",
) -> "list[torch.Tensor]":
    """Negative log-likelihoods (nats) of the tokens of each example's completion (T,).

    Only the logits of completions are computed.
    """
    import torch

    found = [torch.zeros(example.completion_length) for example in examples]
    scored = [i for i, e in enumerate(examples) if e.completion_length > 0 and e.prompt_length > 0]
    if not scored:
        return found
    lengths = [len(examples[i].input_ids) for i in scored]
    prompts = [examples[i].input_ids[: examples[i].prompt_length] for i in scored]
    prefix = _shared_prefix(model, prompts, max(lengths))
    cache = _prefix_cache(model, examples[scored[0]].input_ids[:prefix])
    for positions in _batches(lengths, batch_size, text, READ_TOKENS, ALIKE, prefix):
        batch = [scored[position] for position in positions]
        sequences = [examples[i].input_ids for i in batch]
        ids, mask = _padded(sequences, prefix, tokenizer.pad_token_id, model.device)
        counts = [len(found[i]) for i in batch]
        keep = max(counts) + 1  # one more: the token before predicts the first
        logits, _ = _read(model, ids, mask, prefix, cache, keep)
        for row, (index, count) in enumerate(zip(batch, counts, strict=True)):
            found[index] = torch.nn.functional.cross_entropy(
                logits[row, -count - 1 : -1].float(), ids[row, -count:], reduction="none"
            ).cpu()
    return found


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
