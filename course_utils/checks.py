"""The checks that close the sections of the notebooks.

    checks.effective_batch.check(value, batch=2, accumulation=8)   # prints one line, returns bool
    checks.effective_batch.hint()
    checks.effective_batch.solution()
    checks.effective_batch.explain()                               # why it matters

A check looks at what the student made: a number, a list, a configuration object. It says what is
right or what is wrong, and it never raises: whatever it is given, a bad answer is a "Not yet".

Some checks ask for an answer of the student's own. Its cell starts with `my_count = None`, and as
long as that stands there the check says "Your turn": nothing is wrong, nothing is answered.
"""

import contextlib
import inspect
import math
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from course_utils import metrics
from course_utils.messages import Message, Room

MESSAGES = Room(__file__)
UNANSWERED = "checks.unanswered"  # what each check says before there is an answer
IGNORED = -100  # the label that the loss skips
MAX_CUT = 0.05  # share of records that max_length may cut
MIN_AGREEMENT = 0.9  # merging rounds the weights anew, so a near tie may turn the other way
MAX_DROPOUT = 0.5
MAX_SCALE = 16  # alpha 64 on rank 4; what is further from 1 has a zero too many
MAX_TOLERANCE = 0.01  # of a loss; what differs by more is another run
PARTS = ("train", "val", "test")
# Names of the MLP's linear layers; the second set is for models that keep gate and up together.
MLP_LAYERS = ({"gate_proj", "up_proj", "down_proj"}, {"gate_up_proj", "down_proj"})


class NotYet(Exception):
    """What is wrong with the student's values: a case of the check's message, and its values."""

    def __init__(self, case: str, message: str = "", **values: object) -> None:
        super().__init__(case)
        self.case, self.message = case, message
        # As text at once: an object whose own text raises is caught where it is judged.
        self.values = {name: str(value) for name, value in values.items()}


class Verdict(int):
    """True or False; a notebook cell that ends with it shows the printed line and no `True`."""

    def _ipython_display_(self) -> None:
        return None

    def __repr__(self) -> str:
        return str(bool(self))


@dataclass(frozen=True)
class Check:
    """One question to the student's values; `check` answers it, `hint` and `solution` help."""

    name: str
    judge: Callable[..., str] = field(repr=False)  # returns what is right, raises NotYet
    asks: str = ""  # the judge's parameter that the student answers; None in it: not answered yet

    @property
    def description(self) -> str:
        """What the check asks, in one line."""
        return (self.judge.__doc__ or "").strip()

    @property
    def message_id(self) -> str:
        """What `course explain` takes."""
        return f"checks.{self.name}"

    @property
    def message(self) -> Message:
        """What is wrong, why it matters, the hint (cure) and the solution (example)."""
        return MESSAGES.known[self.message_id]

    def check(self, *values: object, **named: object) -> "Verdict":
        """Print "Correct: ...", "Not yet: ... Hint: ..." or "Your turn: ..."; True when correct."""
        correct = False
        try:
            if self._unanswered(values, named):
                verdict = self._your_turn()
            else:
                verdict, correct = f"Correct: {self.judge(*values, **named)}", True
        except NotYet as problem:
            verdict = self._not_yet(problem)
        except Exception:  # any object may come in, and its own methods may raise anything
            verdict = self._not_yet(NotYet("expects"))
        line = " ".join(verdict.split())
        print(line.encode("utf-8", "backslashreplace").decode())  # a lone surrogate cannot print
        return Verdict(correct)

    __call__ = check

    def _unanswered(self, values: Sequence, named: Mapping) -> bool:
        """Whether None (or ...) stands where the student's own answer belongs."""
        if not self.asks:
            return False
        given = inspect.signature(self.judge).bind(*values, **named).arguments
        return given[self.asks] is None or given[self.asks] is ...

    def _your_turn(self) -> str:
        said = MESSAGES.say(UNANSWERED, name=self.name)
        return f"Your turn: {said.found} Help: {said.cure}"

    def _not_yet(self, problem: NotYet) -> str:
        said = MESSAGES.say(problem.message or self.message_id, problem.case, **problem.values)
        return f"Not yet: {said.found} Hint: {said.cure}"

    def hint(self) -> None:
        """Print the hint."""
        print(f"Hint: {self.message.cure}")

    def solution(self) -> None:
        """Print the line of code."""
        print(f"Solution:\n{self.message.example.strip()}")

    def explain(self) -> None:
        """Print why it matters, and what can be wrong; it ends with the solution."""
        for heading, text in self.message.parts().items():
            print(f"{heading}:\n{text}\n")


CHECKS: dict[str, Check] = {}


def _register(judge: Callable[..., str], asks: str = "") -> Check:
    """Turn a judge into the Check of the same name and enter it in CHECKS."""
    check = Check(judge.__name__, judge, asks)
    CHECKS[check.name] = check
    return check


def _asking(parameter: str) -> Callable[[Callable[..., str]], Check]:
    """The same for a check of an answer that the student writes into this parameter."""
    return lambda judge: _register(judge, parameter)


def _need(condition: object, case: str, message: str = "", **values: object) -> None:
    if not condition:
        raise NotYet(case, message, **values)


def _number(value: object, name: str = "your value") -> float:
    """A finite number from Python, numpy, a tensor with one element or a text; a bool is none."""
    value = value.item() if hasattr(value, "item") else value
    value = _read(value) if isinstance(value, str) else value
    value = float(value) if isinstance(value, Decimal | Fraction) else value
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not good:
        raise NotYet("no_number", "checks.value", name=name, value=reprlib.repr(value))
    return value


def _read(text: str) -> float | str:
    """The number that a text states, as printed: "33,792", "33 792" or "15.77"; else the text."""
    plain = text.strip()
    if re.fullmatch(r"[+-]?\d{1,3}([,\s]\d{3})+(\.\d+)?", plain):
        plain = re.sub(r"[,\s]", "", plain)
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(plain)
    return text


def _list(values: object) -> list:
    return values.tolist() if hasattr(values, "tolist") else list(values)


def _whole_numbers(values: object, name: str) -> list[int]:
    numbers = [_number(v, f"each of {name}") for v in _list(values)]
    _need(numbers, "empty", "checks.value", name=name)
    _need(all(n == int(n) for n in numbers), "not_whole", "checks.value", name=name)
    return [int(n) for n in numbers]


# --- Notebook 01: data --------------------------------------------------------------------------


@_register
def split_sizes(parts: Mapping[str, Iterable[Mapping]]) -> str:
    """No part is empty and no group of near-duplicates stands in two parts."""
    missing = [name for name in PARTS if name not in parts]
    _need(not missing, "missing", names=", ".join(missing))
    groups = {name: [_group(record) for record in part] for name, part in parts.items()}
    for name, members in groups.items():
        _need(members, "empty", name=name)
    names = list(groups)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            shared = len(set(groups[first]) & set(groups[second]))
            _need(not shared, "shared", shared=shared, first=first, second=second)
    sizes = ", ".join(f"{name} {len(members)}" for name, members in groups.items())
    return f"{sizes} records, and no group in two parts."


def _group(record: Mapping[str, str]) -> str:
    """The record's group; without one, its question as a whole."""
    if record.get("group"):
        return str(record["group"])
    asked = (record["instruction"], record.get("input", ""), record.get("context", ""))
    return " ".join(" ".join(asked).casefold().split())


@_asking("labels")
def completion_mask(
    labels: Sequence[int],
    input_ids: Sequence[int],
    prompt_length: int,
    eos_token_id: int | None = None,
) -> str:
    """The loss skips the prompt and counts the completion with its end-of-sequence token."""
    labels = _whole_numbers(labels, "labels")
    input_ids = _whole_numbers(input_ids, "input_ids")
    start, length = _number(prompt_length, "prompt_length"), len(input_ids)
    _need(len(labels) == length, "lengths", labels=len(labels), length=length)
    _need(0 < start < length, "no_completion", start=start, length=length)
    shown = sum(label != IGNORED for label in labels[:start])
    _need(not shown, "prompt_trained", shown=shown)
    _need(labels[-1] != IGNORED, "end_masked")
    hidden = sum(label == IGNORED for label in labels[start:])
    _need(not hidden, "completion_masked", hidden=hidden)
    _need(labels[start:] == input_ids[start:], "other_tokens")
    ends = eos_token_id is None or eos_token_id in labels[start:]
    _need(ends, "no_end", token=eos_token_id)
    return f"{start} prompt tokens are masked, {length - start} completion tokens are trained."


@_asking("max_length")
def max_length_choice(lengths: Sequence[int], max_length: int) -> str:
    """max_length cuts few records and wastes little memory."""
    lengths = sorted(_whole_numbers(lengths, "lengths"))
    limit = _number(max_length, "max_length")
    cut = sum(length > limit for length in lengths) / len(lengths)
    top = lengths[math.ceil(0.99 * len(lengths)) - 1]  # 99 % of the records are no longer
    _need(limit == int(limit), "not_whole", limit=limit)
    limit = int(limit)  # 80.0 is 80
    _need(limit > 0, "not_positive", limit=limit)
    _need(cut <= MAX_CUT, "cuts", limit=limit, share=f"{cut:.1%}", most=f"{MAX_CUT:.0%}")
    _need(limit <= 2 * top, "wasteful", limit=limit, top=top)
    return f"{limit} tokens cut {cut:.1%} of the records; the 99th percentile is {top}."


# --- Notebook 02: baseline ----------------------------------------------------------------------


@_asking("value")
def perplexity_from_loss(
    value: float, nll_sums: Sequence[float], token_counts: Sequence[int]
) -> str:
    """The perplexity, in which every token weighs the same."""
    value, sums, counts = _number(value), _list(nll_sums), _list(token_counts)
    right, shown = metrics.perplexity(sums, counts), f"{value:.4g}"
    if _agrees(value, right):
        return f"{shown} over {sum(counts):,} tokens (exactly {right:.6g})."
    loss = sum(sums) / sum(counts)
    means = [s / c for s, c in zip(sums, counts, strict=True) if c]
    of_records = sum(map(_exp, means)) / len(means)
    _need(not _agrees(value, loss), "loss", value=shown)
    _need(not _agrees(value, _exp(sum(means) / len(means))), "of_means", value=shown)
    _need(not _agrees(value, of_records), "of_records", value=shown)
    _need(not _agrees(value, 2**loss), "bits", value=shown)
    _need(not _agrees(value, _exp(sum(sums) / len(sums))), "whole_records", value=shown)
    _need(not math.isclose(value, float(f"{right:.2g}"), rel_tol=1e-6), "coarse", value=shown)
    raise NotYet("other", value=shown)


def _agrees(value: float, right: float) -> bool:
    """Equal to a thousandth, or what is right rounded to three digits: 15.8 for 15.77."""
    rounded = float(f"{right:.3g}")
    return math.isclose(value, right, rel_tol=1e-3) or math.isclose(value, rounded, rel_tol=1e-6)


def _exp(power: float) -> float:
    try:
        return math.exp(power)
    except OverflowError:
        return math.inf


@_register
def few_shot_prompt(messages: Sequence[Mapping[str, str]], test_inputs: Iterable[str]) -> str:
    """The examples of a few-shot prompt do not come from the test part."""
    _need(not isinstance(test_inputs, str), "one_text")
    turns = [(m["role"], m["content"]) for m in messages]
    turns = turns[1:] if turns and turns[0][0] == "system" else turns
    roles = [role for role, _ in turns]
    _need(roles and roles[-1] == "user", "no_question")
    expected = ["user" if i % 2 == 0 else "assistant" for i in range(len(roles))]
    _need(roles == expected, "roles", roles=", ".join(roles))
    _need(len(roles) > 1, "no_example")
    held_out = {_plain(text) for text in test_inputs} - {""}
    examples = [content for role, content in turns[:-1] if role == "user"]
    leaked = sum(bool(_readings(content) & held_out) for content in examples)
    _need(not leaked, "leaked", leaked=leaked, count=len(examples))
    return f"{len(examples)} examples, none of them from the test part."


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" \"'")


def _readings(content: str) -> set[str]:
    """Everything in a message that may be a record's input: all of it, blocks, lines, values.

    Not any substring: a short order such as "replace bucket" is part of many longer ones.
    """
    pieces = [content, *content.split("\n\n"), *content.splitlines()]
    pieces += [piece.split(":", 1)[1] for piece in pieces if ":" in piece]
    return {_plain(piece) for piece in pieces}


# --- Notebook 03: LoRA and training -------------------------------------------------------------


@_asking("value")
def lora_parameters(value: int, in_features: int, out_features: int, rank: int) -> str:
    """The number of weights that LoRA adds to one linear layer."""
    value, fan_in, fan_out = _number(value), _number(in_features), _number(out_features)
    rank = _number(rank)
    right, full = rank * (fan_in + fan_out), fan_in * fan_out
    if value == right:
        return f"{right:,} weights, {right / full:.1%} of the layer's {full:,}."
    shown = f"{value:,}"
    _need(value != full, "full", full=f"{full:,}")
    only_one = value in (rank * fan_in, rank * fan_out)
    _need(not only_one, "one_matrix", value=shown)
    _need(value != fan_in + fan_out, "no_rank", value=shown)
    _need(value != rank * full, "product", value=shown)
    _need(value != full + right, "with_layer", value=shown)
    raise NotYet("other", value=shown)


@_asking("value")
def effective_batch(value: int, batch: int, accumulation: int, devices: int = 1) -> str:
    """The number of records behind one step of the optimiser."""
    value, parts = _number(value), [_number(n) for n in (batch, accumulation, devices)]
    right = math.prod(parts)
    if value == right:
        return f"{right} records a step, with memory for {parts[0]} at a time."
    _need(value != parts[0], "in_memory", value=value)
    _need(value != parts[1], "only_accumulation", value=value)
    _need(value != sum(parts[:2]), "added", value=value)
    _need(value != math.prod(parts[:2]), "one_device", value=value, devices=devices)
    raise NotYet("other", value=value)


@_register
def lora_config(config: object) -> str:
    """A LoRA configuration for a causal language model that adapts the MLP too."""
    kind = getattr(config, "peft_type", None)
    _need(kind == "LORA", "other_kind", kind=type(config).__name__)
    rank = _number(config.r, "r")
    _need(rank > 0, "rank", rank=rank)
    _need(_number(config.lora_alpha, "lora_alpha") > 0, "alpha")
    task = config.task_type
    _need(task == "CAUSAL_LM", "task", task=getattr(task, "value", task))
    _need(config.target_modules is not None, "no_targets")
    _need(_adapts_mlp(config.target_modules), "no_mlp")
    dropout, scale = _number(config.lora_dropout, "lora_dropout"), _scale(config)
    _need(0 <= dropout <= MAX_DROPOUT, "dropout", dropout=dropout, most=MAX_DROPOUT)
    _need(1 / MAX_SCALE <= scale <= MAX_SCALE, "scale", scale=f"{scale:g}")
    return f"rank {rank}, scale {scale:g}, MLP included."


def _scale(config: object) -> float:
    """What the adapter's output is multiplied by: alpha / r, in rsLoRA alpha / sqrt(r)."""
    return config.lora_alpha / (math.sqrt(config.r) if config.use_rslora else config.r)


def _adapts_mlp(targets: str | Iterable[str]) -> bool:
    if not isinstance(targets, str):
        names = {name.rsplit(".", 1)[-1] for name in targets}
        return any(layers <= names for layers in MLP_LAYERS)
    if targets == "all-linear":
        return True
    # peft matches a plain text as a regular expression against the whole layer name
    examples = [[f"model.layers.0.mlp.{name}" for name in layers] for layers in MLP_LAYERS]
    return any(all(re.fullmatch(targets, name) for name in names) for names in examples)


@_register
def sft_config(config: object) -> str:
    """The training evaluates on the way, saves, and keeps the best checkpoint."""
    only_completion = config.completion_only_loss
    _need(only_completion is True, "completion", value=only_completion)
    evaluating, saving = _text(config.eval_strategy), _text(config.save_strategy)
    _need(evaluating in ("steps", "epoch"), "never_evaluates")
    _need(config.load_best_model_at_end is True, "no_best")
    if saving != "best":
        same = saving == evaluating
        _need(same, "strategies", evaluating=evaluating, saving=saving)
        if saving == "steps":
            _steps_meet(_number(config.eval_steps), _number(config.save_steps))
    return f"completion only, evaluates by {evaluating}, saves by {saving}, keeps the best."


def _text(strategy: object) -> str:
    return str(getattr(strategy, "value", strategy))


def _steps_meet(eval_steps: float, save_steps: float) -> None:
    """Below 1 both are shares of the run's steps, as in transformers."""
    _need(eval_steps > 0 and save_steps > 0, "not_positive")
    mixed = (eval_steps < 1) != (save_steps < 1)
    _need(not mixed, "mixed")
    ratio = save_steps / eval_steps
    multiple = round(ratio) >= 1 and math.isclose(ratio, round(ratio), rel_tol=1e-6)
    steps = {"save_steps": f"{save_steps:g}", "eval_steps": f"{eval_steps:g}"}
    _need(multiple, "no_multiple", **steps)


@_register
def curves_join(
    first_log: Sequence[Mapping], resumed_log: Sequence[Mapping], tolerance: float
) -> str:
    """The curve of the resumed run continues the first one."""
    tolerance = _number(tolerance, "tolerance")
    _need(0 <= tolerance <= MAX_TOLERANCE, "tolerance", tolerance=tolerance, most=MAX_TOLERANCE)
    first, resumed = _curve(first_log), _curve(resumed_log)
    _need(first, "first_empty")
    _need(resumed, "resumed_empty")
    ends = [max(step for _, step in curve) for curve in (first, resumed)]
    _need(ends[1] >= ends[0], "ends_before", end=ends[1])
    shared = first.keys() & resumed.keys()
    _need(shared, "nothing_shared")
    worst = max(shared, key=lambda point: abs(first[point] - resumed[point]))
    gap = abs(first[worst] - resumed[worst])
    _need(gap <= tolerance, "differs", step=worst[1], kind=worst[0], gap=f"{gap:.3g}")
    return f"{len(shared)} shared points differ by at most {gap:.2g}."


def _curve(log: Sequence[Mapping]) -> dict[tuple[str, int], float]:
    """{("loss" or "eval_loss", step): value}"""
    return {
        (kind, row["step"]): _number(row[kind], kind)
        for row in log
        for kind in ("loss", "eval_loss")
        if kind in row
    }


# --- Notebook 04: evaluation --------------------------------------------------------------------


@_asking("gain")
def better_than_base(
    gain: float, difference: Mapping[str, Mapping[str, float] | None], metric: str
) -> str:
    """The least that the tuned model gains over the base model, by the interval."""
    scores = metrics.RESULT_METRICS
    _need(metric in scores, "unknown", metrics=", ".join(scores))
    _need(difference.get(metric) is not None, "not_applied", metric=metric)
    mean, low, high = (_number(difference[metric][part], part) for part in ("mean", "low", "high"))
    _need(low <= high, "reversed", low=f"{low:.3g}", high=f"{high:.3g}")
    lower_is_better = metric == "perplexity"
    least, most = (high, low) if lower_is_better else (low, high)
    gain = _number(gain)
    known = {"": least, "mean": mean, "most": most}
    known |= {"width": high - low, "sign": -least, "percent": 100 * least}
    case = _nearest_case(gain, known)
    told = {"value": f"{gain:g}", "metric": metric}
    _need(case != "mean", "mean", **told)
    _need(case != "most", "most", **told)
    _need(case != "width", "width", **told)
    _need(case != "sign", "sign", **told)
    _need(case != "percent", "percent", **told)
    _need(case != "other", "other", **told)
    verdict = "it holds 0, so the draw of the records alone could explain the difference"
    if low > 0 or high < 0:
        improved = (high < 0) == lower_is_better
        verdict = f"it excludes 0, so the tuned model is {'better' if improved else 'worse'}"
    note = " (lower is better)" if lower_is_better else ""
    return f"{metric}{note}, tuned minus base, lies in {low:+.3g} ... {high:+.3g}: {verdict}."


def _nearest_case(value: float, known: Mapping[str, float]) -> str:
    """The case whose number `value` is, as printed with three or more digits; else "other"."""
    found = [case for case, number in known.items() if _as_printed(value, number)]
    return min(found, key=lambda case: abs(known[case] - value), default="other")


def _as_printed(value: float, right: float) -> bool:
    """Equal to a thousandth, or `right` with three or four places (two from 0.1 on)."""
    places = (2, 3, 4) if abs(right) >= 0.1 else (3, 4)
    rounded = any(math.isclose(value, round(right, n), abs_tol=1e-9) for n in places)
    return rounded or _agrees(value, right)


# --- Notebook 05: inference ---------------------------------------------------------------------


@_asking("count")
def merged_agrees(count: int, texts_unmerged: Sequence[str], texts_merged: Sequence[str]) -> str:
    """How many answers the merged model gives as the adapter did; nearly all should be the same."""
    pair = (texts_unmerged, texts_merged)
    lists = not any(isinstance(texts, str | Mapping) for texts in pair)
    _need(lists, "no_lists")
    before, after = list(texts_unmerged), list(texts_merged)
    _need(all(isinstance(t, str) for t in before + after), "no_texts")
    _need(len(before) == len(after), "lengths", before=len(before), after=len(after))
    _need(any(before), "nothing")
    pairs = list(zip(before, after, strict=True))
    agree, exact = sum(a.strip() == b.strip() for a, b in pairs), sum(a == b for a, b in pairs)
    count, number = _number(count), len(pairs)
    if count not in (agree, exact):
        told = {"value": f"{count:g}", "before": number}
        _need(not math.isclose(count, agree / number, rel_tol=1e-3), "share", **told)
        _need(not math.isclose(count, 100 * agree / number, rel_tol=1e-3), "percent", **told)
        _need(count != number - agree, "differing", **told)
        _need(count != number, "all", **told)
        raise NotYet("other", **told)
    _need(agree / number >= MIN_AGREEMENT, "differ", agree=agree, before=number)
    return f"{agree} of {number} answers agree."
