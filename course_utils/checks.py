"""The checks that close the sections of the notebooks.

    checks.effective_batch.check(value, batch=2, accumulation=8)   # prints one line, returns bool
    checks.effective_batch.hint()
    checks.effective_batch.solution()

A check looks at what the student made: a number, a list, a configuration object. It says what is
right or what is wrong, and it never raises: whatever it is given, a bad answer is a "Not yet".
"""

import math
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from course_utils import metrics

IGNORED = -100  # the label that the loss skips
MAX_CUT = 0.05  # share of records that max_length may cut
MIN_AGREEMENT = 0.9  # merging rounds the weights anew, so a near tie may turn the other way
PARTS = ("train", "val", "test")
# Names of the MLP's linear layers; the second set is for models that keep gate and up together.
MLP_LAYERS = ({"gate_proj", "up_proj", "down_proj"}, {"gate_up_proj", "down_proj"})


class NotYet(Exception):
    """What is wrong with the student's values, in one sentence."""


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
    description: str  # one line, shown to the student
    expects: str  # the values it takes, for a student who passed something else
    hint_text: str
    solution_text: str
    judge: Callable[..., str] = field(repr=False)  # returns what is right, raises NotYet

    def check(self, *values: object, **named: object) -> "Verdict":
        """Print "Correct: ..." or "Not yet: ... Hint: ..." on one line; True when correct."""
        try:
            verdict, correct = f"Correct: {self.judge(*values, **named)}", True
        except NotYet as problem:
            verdict, correct = f"Not yet: {problem} Hint: {self.hint_text}", False
        except Exception:  # any object may come in, and its own methods may raise anything
            wanted = f"this check takes {self.expects}."
            verdict, correct = f"Not yet: {wanted} Hint: {self.hint_text}", False
        line = " ".join(verdict.split())
        print(line.encode("utf-8", "backslashreplace").decode())  # a lone surrogate cannot print
        return Verdict(correct)

    __call__ = check

    def hint(self) -> None:
        """Print the hint."""
        print(f"Hint: {self.hint_text}")

    def solution(self) -> None:
        """Print the line of code."""
        print(f"Solution:\n{self.solution_text}")


CHECKS: dict[str, Check] = {}


def _register(description: str, expects: str, hint: str, solution: str) -> Callable[..., Check]:
    """Turn a judge into the Check of the same name and enter it in CHECKS."""

    def make(judge: Callable[..., str]) -> Check:
        check = Check(judge.__name__, description, expects, hint, solution, judge)
        CHECKS[check.name] = check
        return check

    return make


def _need(condition: object, problem: str) -> None:
    if not condition:
        raise NotYet(problem)


def _number(value: object, name: str = "your value") -> float:
    """A finite number from Python, numpy or a tensor with one element; a bool is none."""
    value = value.item() if hasattr(value, "item") else value
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    _need(good, f"{name} must be a number, not {reprlib.repr(value)}.")
    return value


def _list(values: object) -> list:
    return values.tolist() if hasattr(values, "tolist") else list(values)


def _whole_numbers(values: object, name: str) -> list[int]:
    numbers = [_number(v, f"each of {name}") for v in _list(values)]
    _need(numbers, f"{name} is empty.")
    _need(all(n == int(n) for n in numbers), f"{name} must hold whole numbers.")
    return [int(n) for n in numbers]


# --- Notebook 01: data --------------------------------------------------------------------------


@_register(
    "No part is empty and no group of near-duplicates stands in two parts.",
    "a dict of three lists of records: {'train': [...], 'val': [...], 'test': [...]}",
    "Shuffle and cut the list of groups, not the list of records.",
    "parts = {name: [r for r in records if r['group'] in groups[name]] "
    "for name in ('train', 'val', 'test')}",
)
def split_sizes(parts: Mapping[str, Iterable[Mapping]]) -> str:
    missing = [name for name in PARTS if name not in parts]
    _need(not missing, f"the part {', '.join(missing)} is missing.")
    groups = {name: [_group(record) for record in part] for name, part in parts.items()}
    for name, members in groups.items():
        _need(members, f"the part {name} is empty.")
    names = list(groups)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            shared = len(set(groups[first]) & set(groups[second]))
            _need(not shared, f"{shared} groups stand in both {first} and {second}.")
    sizes = ", ".join(f"{name} {len(members)}" for name, members in groups.items())
    return f"{sizes} records, and no group in two parts."


def _group(record: Mapping[str, str]) -> str:
    """The record's group; without one, its question as a whole."""
    if record.get("group"):
        return str(record["group"])
    asked = (record["instruction"], record.get("input", ""), record.get("context", ""))
    return " ".join(" ".join(asked).casefold().split())


@_register(
    "The loss skips the prompt and counts the completion with its end-of-sequence token.",
    "labels and input_ids of one record (lists of the same length, without padding) "
    "and the prompt's length in tokens",
    "The loss skips label -100. A model that never learns the end token never stops.",
    "labels = [-100] * prompt_length + input_ids[prompt_length:]",
)
def completion_mask(
    labels: Sequence[int],
    input_ids: Sequence[int],
    prompt_length: int,
    eos_token_id: int | None = None,
) -> str:
    labels = _whole_numbers(labels, "labels")
    input_ids = _whole_numbers(input_ids, "input_ids")
    start, length = _number(prompt_length, "prompt_length"), len(input_ids)
    _need(len(labels) == length, f"{len(labels)} labels for {length} tokens.")
    _need(0 < start < length, f"the prompt has {start} of {length} tokens: no completion is left.")
    shown = sum(label != IGNORED for label in labels[:start])
    _need(not shown, f"{shown} tokens of the prompt are trained.")
    _need(labels[-1] != IGNORED, "the last token, which ends the answer, is masked.")
    hidden = sum(label == IGNORED for label in labels[start:])
    _need(not hidden, f"{hidden} tokens of the completion are masked.")
    _need(labels[start:] == input_ids[start:], "the completion's labels are not its tokens.")
    ends = eos_token_id is None or eos_token_id in labels[start:]
    _need(ends, f"the completion holds no end-of-sequence token ({eos_token_id}).")
    return f"{start} prompt tokens are masked, {length - start} completion tokens are trained."


@_register(
    "max_length cuts few records and wastes little memory.",
    "the list of token counts of your records and your max_length",
    "Look at the 95th and the 99th percentile of the lengths; memory grows with max_length.",
    "max_length = int(np.percentile(lengths, 99))",
)
def max_length_choice(lengths: Sequence[int], max_length: int) -> str:
    lengths = sorted(_whole_numbers(lengths, "lengths"))
    limit = _number(max_length, "max_length")
    cut = sum(length > limit for length in lengths) / len(lengths)
    top = lengths[math.ceil(0.99 * len(lengths)) - 1]  # 99 % of the records are no longer
    _need(limit > 0, f"max_length is {limit}.")
    _need(cut <= MAX_CUT, f"{limit} cuts {cut:.1%} of the records; at most {MAX_CUT:.0%} may be.")
    _need(limit <= 2 * top, f"{limit} is more than twice the 99th percentile ({top} tokens).")
    return f"{limit} tokens cut {cut:.1%} of the records; the 99th percentile is {top}."


# --- Notebook 02: baseline ----------------------------------------------------------------------


@_register(
    "Perplexity weighs every token the same.",
    "your perplexity, the summed losses (nats) of the records and their token counts",
    "Add up first, divide once, and only then take the exponential.",
    "perplexity = math.exp(sum(nll_sums) / sum(token_counts))",
)
def perplexity_from_loss(
    value: float, nll_sums: Sequence[float], token_counts: Sequence[int]
) -> str:
    value, sums, counts = _number(value), _list(nll_sums), _list(token_counts)
    right = metrics.perplexity(sums, counts)
    if math.isclose(value, right, rel_tol=1e-3):
        return f"{value:.4g} over {sum(counts)} tokens."
    means = [s / c for s, c in zip(sums, counts, strict=True) if c]
    of_means = math.exp(sum(means) / len(means))
    is_loss = math.isclose(value, math.log(right), rel_tol=1e-3)
    _need(not is_loss, f"{value:.4g} is the mean loss, not yet the perplexity.")
    is_of_means = math.isclose(value, of_means, rel_tol=1e-3)
    _need(not is_of_means, f"in {value:.4g} a short record weighs as much as a long one.")
    raise NotYet(f"{value:.4g} is not the perplexity of these losses.")


@_register(
    "The examples of a few-shot prompt do not come from the test part.",
    "a list of messages {'role', 'content'} and the list of the test records' inputs",
    "Take the examples from train: user and assistant in turn, the new question last.",
    "messages = [m for r in train[:3] for m in (user(r), assistant(r))] + [user(test_record)]",
)
def few_shot_prompt(messages: Sequence[Mapping[str, str]], test_inputs: Iterable[str]) -> str:
    _need(not isinstance(test_inputs, str), "test_inputs is one text; it must be a list of them.")
    turns = [(m["role"], m["content"]) for m in messages]
    turns = turns[1:] if turns and turns[0][0] == "system" else turns
    roles = [role for role, _ in turns]
    _need(roles and roles[-1] == "user", "the last message must be the user's new question.")
    expected = ["user" if i % 2 == 0 else "assistant" for i in range(len(roles))]
    _need(roles == expected, f"the roles do not alternate: {', '.join(roles)}.")
    _need(len(roles) > 1, "there is no example before the question.")
    held_out = {_plain(text) for text in test_inputs} - {""}
    examples = [content for role, content in turns[:-1] if role == "user"]
    leaked = sum(bool(_readings(content) & held_out) for content in examples)
    _need(not leaked, f"{leaked} of {len(examples)} examples come from the test part.")
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


@_register(
    "The number of weights that LoRA adds to one linear layer.",
    "your number, in_features, out_features and the rank",
    "LoRA adds two thin matrices: A is rank x in_features, B is out_features x rank.",
    "parameters = rank * (in_features + out_features)",
)
def lora_parameters(value: int, in_features: int, out_features: int, rank: int) -> str:
    value, fan_in, fan_out = _number(value), _number(in_features), _number(out_features)
    rank = _number(rank)
    right, full = rank * (fan_in + fan_out), fan_in * fan_out
    if value == right:
        return f"{right:,} weights, {right / full:.1%} of the layer's {full:,}."
    _need(value != full, f"{full:,} is the layer itself; LoRA leaves it as it is.")
    only_one = value in (rank * fan_in, rank * fan_out)
    _need(not only_one, f"{value:,} is one of the two matrices.")
    raise NotYet(f"{value:,} is not what A and B hold together.")


@_register(
    "The number of records behind one step of the optimizer.",
    "your number, the batch of one device and the accumulation steps (and the devices, if several)",
    "Gradients of several small batches are added before the weights move once.",
    "effective = per_device_train_batch_size * gradient_accumulation_steps",
)
def effective_batch(value: int, batch: int, accumulation: int, devices: int = 1) -> str:
    value, parts = _number(value), [_number(n) for n in (batch, accumulation, devices)]
    right = math.prod(parts)
    if value == right:
        return f"{right} records a step, with memory for {parts[0]} at a time."
    _need(value != parts[0], f"{value} is what fits into memory at once, not what a step sees.")
    raise NotYet(f"{value} is not the number of records behind one step.")


@_register(
    "A LoRA configuration for a causal language model that adapts the MLP too.",
    "a peft.LoraConfig",
    "Attention alone learns less: name the MLP's layers too, or take all linear layers.",
    'LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")',
)
def lora_config(config: object) -> str:
    kind = getattr(config, "peft_type", None)
    _need(kind == "LORA", f"this is {type(config).__name__}, not a peft.LoraConfig.")
    rank = _number(config.r, "r")
    _need(rank > 0, f"r is {rank}: an adapter of rank 0 has no weights.")
    _need(_number(config.lora_alpha, "lora_alpha") > 0, "lora_alpha must be above 0.")
    task = config.task_type
    _need(task == "CAUSAL_LM", f"task_type is {getattr(task, 'value', task)}, not CAUSAL_LM.")
    _need(config.target_modules is not None, "target_modules is not set.")
    _need(_adapts_mlp(config.target_modules), "target_modules leaves out the MLP.")
    return f"rank {rank}, scale alpha/r = {config.lora_alpha / rank:g}, MLP included."


def _adapts_mlp(targets: str | Iterable[str]) -> bool:
    if not isinstance(targets, str):
        names = {name.rsplit(".", 1)[-1] for name in targets}
        return any(layers <= names for layers in MLP_LAYERS)
    if targets == "all-linear":
        return True
    import re  # peft matches a plain text as a regular expression against the whole layer name

    examples = [[f"model.layers.0.mlp.{name}" for name in layers] for layers in MLP_LAYERS]
    return any(all(re.fullmatch(targets, name) for name in names) for names in examples)


@_register(
    "The training evaluates on the way, saves, and keeps the best checkpoint.",
    "a trl.SFTConfig",
    "Saving must fall on steps at which the loss was evaluated, or the best one is not on disk.",
    'SFTConfig(completion_only_loss=True, eval_strategy="steps", eval_steps=20, '
    'save_strategy="steps", save_steps=20, load_best_model_at_end=True)',
)
def sft_config(config: object) -> str:
    only_completion = config.completion_only_loss
    _need(only_completion is True, f"completion_only_loss is {only_completion}, not True.")
    evaluating, saving = _text(config.eval_strategy), _text(config.save_strategy)
    _need(evaluating in ("steps", "epoch"), "eval_strategy is 'no': the run never evaluates.")
    _need(config.load_best_model_at_end is True, "load_best_model_at_end is not True.")
    if saving != "best":
        same = saving == evaluating
        _need(same, f"it evaluates by {evaluating!r} but saves by {saving!r}.")
        if saving == "steps":
            _steps_meet(_number(config.eval_steps), _number(config.save_steps))
    return f"completion only, evaluates by {evaluating}, saves by {saving}, keeps the best."


def _text(strategy: object) -> str:
    return str(getattr(strategy, "value", strategy))


def _steps_meet(eval_steps: float, save_steps: float) -> None:
    """Below 1 both are shares of the run's steps, as in transformers."""
    _need(eval_steps > 0 and save_steps > 0, "eval_steps and save_steps must be above 0.")
    mixed = (eval_steps < 1) != (save_steps < 1)
    _need(not mixed, "eval_steps and save_steps must both be steps or both be shares.")
    ratio = save_steps / eval_steps
    multiple = round(ratio) >= 1 and math.isclose(ratio, round(ratio), rel_tol=1e-6)
    _need(multiple, f"save_steps {save_steps:g} is no multiple of eval_steps {eval_steps:g}.")


@_register(
    "The curve of the resumed run continues the first one.",
    "the log lists of the two runs ([{'step': 10, 'loss': 0.9}, ...]) and a tolerance",
    "Resume from the newest checkpoint: it holds the optimizer, the schedule and the data order.",
    "trainer.train(resume_from_checkpoint=True)",
)
def curves_join(
    first_log: Sequence[Mapping], resumed_log: Sequence[Mapping], tolerance: float
) -> str:
    tolerance = _number(tolerance, "tolerance")
    _need(tolerance >= 0, f"the tolerance is {tolerance}.")
    first, resumed = _curve(first_log), _curve(resumed_log)
    _need(first, "the first log holds no loss.")
    _need(resumed, "the resumed log holds no loss.")
    ends = [max(step for _, step in curve) for curve in (first, resumed)]
    _need(ends[1] >= ends[0], f"the resumed run ends at step {ends[1]}, before the first.")
    shared = first.keys() & resumed.keys()
    _need(shared, "the two logs share no step, so nothing shows that they join.")
    worst = max(shared, key=lambda point: abs(first[point] - resumed[point]))
    gap = abs(first[worst] - resumed[worst])
    _need(gap <= tolerance, f"at step {worst[1]} the {worst[0]} differs by {gap:.3g}.")
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


@_register(
    "The tuned model beats the base model by more than the draw of the test records explains.",
    "the result of metrics.paired_bootstrap and the name of a metric",
    "Look whether the whole interval lies on one side of 0, and which side is the better one.",
    'low, high = difference["field_f1"]["low"], difference["field_f1"]["high"]; low > 0',
)
def better_than_base(difference: Mapping[str, Mapping[str, float] | None], metric: str) -> str:
    _need(metric in metrics.METRICS, f"the metrics are {', '.join(metrics.METRICS)}.")
    _need(difference.get(metric) is not None, f"{metric} does not apply to these records.")
    low, high = (_number(difference[metric][end], end) for end in ("low", "high"))
    _need(low <= high, f"the interval runs from {low:.3g} to {high:.3g}.")
    interval = f"{metric}: tuned minus base lies in {low:+.3g} ... {high:+.3g}"
    _need(low > 0 or high < 0, f"{interval}, which holds 0.")
    lower_is_better = metric == "perplexity"
    improved = high < 0 if lower_is_better else low > 0
    _need(improved, f"{interval}, so the tuned model is worse.")
    return f"{interval}{' and lower is better' if lower_is_better else ''}."


# --- Notebook 05: inference ---------------------------------------------------------------------


@_register(
    "The merged model answers as the adapter did.",
    "two lists of answers in the same order, unmerged first",
    "Merge into full-precision weights and decode greedily: sampling differs from run to run.",
    "merged = model.merge_and_unload()",
)
def merged_agrees(texts_unmerged: Sequence[str], texts_merged: Sequence[str]) -> str:
    pair = (texts_unmerged, texts_merged)
    lists = not any(isinstance(texts, str | Mapping) for texts in pair)
    _need(lists, "pass two lists of texts.")
    before, after = list(texts_unmerged), list(texts_merged)
    _need(all(isinstance(t, str) for t in before + after), "the answers must be texts.")
    _need(len(before) == len(after), f"{len(before)} answers against {len(after)}.")
    _need(any(before), "there is no answer to compare.")
    agree = sum(a.strip() == b.strip() for a, b in zip(before, after, strict=True))
    share = agree / len(before)
    _need(share >= MIN_AGREEMENT, f"only {agree} of {len(before)} answers agree.")
    return f"{agree} of {len(before)} answers agree."
