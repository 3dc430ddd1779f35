"""The scores of the course: perplexity, BLEU, ROUGE, field F1, exact match, and how sure they are.

    scores = metrics.score_all(predictions, references, nll_sums, token_counts)
    difference = metrics.paired_bootstrap(base, tuned, samples=1000, seed=0)

Every score of a test set can be had from sums over its records (matched n-grams, true positives,
negative log likelihoods). So the bootstrap adds the sums up again for each resample and never
scores a text twice.
"""

import atexit
import json
import math
import os
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils.errors import CourseError

if TYPE_CHECKING:
    import numpy as np

FIELDS = ("system", "part", "action", "failure_mode", "location")
ROUGE_TYPES = ("rouge1", "rouge2", "rougeL")
METRICS = ("perplexity", "bleu", *ROUGE_TYPES, "field_f1", "exact_match")
# Means over records that need more than two texts (course_utils/tasks.py): facts, the kind of task.
RECORD_METRICS = ("fact_f1", "fact_match", "token_f1", "task_score")
RESULT_METRICS = (*METRICS, *RECORD_METRICS)  # what results.json has of each system
EVALUATE_MODULES = Path(__file__).parent / "evaluate_modules"
_one_at_a_time = threading.Lock()

# Each "{" could open an object. An answer with hundreds of them is noise, and trying them all
# would let one hostile text hold up the scoring of a whole class.
MAX_OBJECT_STARTS = 50

Record = dict[str, frozenset[str]]
Z_95 = 1.959963984540054  # the normal distribution holds 95 % within this many deviations


# --- Likelihood ---------------------------------------------------------------------------------


def loss_rows(nll: Sequence[float], counts: Sequence[int]) -> list[list[float | int | None]]:
    """[nats or None, tokens] of each record, for a file: JSON has no NaN and no infinity."""
    return [
        [float(value) if math.isfinite(value) else None, int(count)]
        for value, count in zip(nll, counts, strict=True)
    ]


def perplexity(nll_sums: Iterable[float], token_counts: Iterable[int]) -> float:
    """exp(summed negative log likelihood / number of tokens): every token weighs the same.

    `nll_sums` in nats, one sum a record; `token_counts` the scored tokens of each record (for
    instruction data the completion, not the prompt). The mean of the records' own means, or of
    batch losses, is another number as soon as lengths differ. Compare models by it only with the
    same tokenizer and the same mask. Jelinek, Mercer, Bahl and Baker (1977) named the measure.
    Raises CourseError when there is no token or a sum is not finite.
    """
    nll, tokens = _likelihood_sums(nll_sums, token_counts, "tokens")
    try:
        return math.exp(nll / tokens)
    except OverflowError:
        raise CourseError(
            f"The mean negative log likelihood is {nll / tokens:.0f} nats a token; "
            "its perplexity is too large for a number.",
            "The training has diverged: lower learning_rate or check the precision, train again.",
        ) from None


def bits_per_byte(nll_sums: Iterable[float], byte_counts: Iterable[int]) -> float:
    """Summed negative log likelihood in bits (nats / ln 2) for each UTF-8 byte of the text.

    Bytes do not depend on the tokenizer, so this compares models with different vocabularies,
    which perplexity cannot. Raises CourseError when there is no byte or a sum is not finite.
    """
    nll, size = _likelihood_sums(nll_sums, byte_counts, "bytes")
    return nll / (math.log(2) * size)


def _likelihood_sums(sums: Iterable[float], counts: Iterable[int], unit: str) -> tuple[float, int]:
    sums, counts = [float(s) for s in sums], [int(c) for c in counts]
    if len(sums) != len(counts):
        raise CourseError(
            f"{len(sums)} likelihood sums came with {len(counts)} counts of {unit}.",
            "Pass one sum and one count for each record.",
        )
    if not all(math.isfinite(s) for s in sums):
        bad = next(i for i, s in enumerate(sums) if not math.isfinite(s))
        raise CourseError(
            f"The negative log likelihood of record {bad} is {sums[bad]}.",
            "Score in fp32 (fp16 overflows) or lower learning_rate: the model may have diverged.",
        )
    if min(counts, default=0) < 0 or sum(counts) == 0:
        raise CourseError(
            f"There are no {unit} to average over.",
            "Check that the completions are not empty and not masked.",
        )
    return math.fsum(sums), sum(counts)


# --- Records: field F1 and exact match ----------------------------------------------------------


def parse_record(text: str) -> Record | None:
    """The first JSON object in a generated answer as {field: set of values}, or None.

    Code fences and prose around the object do not matter. A value may be a string ("a; b" is two
    values), a list, a number or null. Names and values are compared without case and with single
    spaces; empty values, and fields left without a value, are dropped.
    """
    if not isinstance(text, str):
        return None
    found = _first_object(text)
    try:
        return None if found is None else _normalise(found)
    except RecursionError:  # nested just deep enough to be read but not to be written
        return None


def _first_object(text: str) -> dict | None:
    decoder = json.JSONDecoder(parse_constant=_reject_constant)
    start = text.find("{")
    for _ in range(MAX_OBJECT_STARTS):
        if start < 0:
            return None
        try:
            return decoder.raw_decode(text, start)[0]
        except (ValueError, RecursionError):  # not JSON from here, or nested beyond reason
            start = text.find("{", start + 1)
    return None


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")  # Python's reader would let NaN and Infinity pass


def _normalise(found: Mapping) -> Record:
    record: Record = {}
    for name, value in found.items():
        values = _values(value)
        if values:
            field = _plain(str(name))
            record[field] = record.get(field, frozenset()) | values
    return record


def labels_of(text: str) -> set[tuple[str, str]]:
    """The (field, value) pairs of a text that `parse_record` can read, as they are spelt."""
    return {
        (str(field), " ".join(value.split()))
        for field, held in (_first_object(text) or {}).items()
        for value in _texts(held)
        if value.strip()
    }


def _values(value: object) -> frozenset[str]:
    return frozenset(plain for plain in map(_plain, _texts(value)) if plain)


def _texts(value: object) -> list[str]:
    """The values of a field, one or several, as they are spelt."""
    if value is None:
        return []
    items = value if isinstance(value, list | tuple | set | frozenset) else [value]
    texts = []
    for item in items:
        if isinstance(item, dict | list):
            texts.append(
                json.dumps(item, sort_keys=True)
            )  # nothing nested was asked for: one wrong value
        elif item is not None:
            texts.extend(str(item).split(";"))
    return texts


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _as_record(answer: str | Mapping | None) -> Record | None:
    return _normalise(answer) if isinstance(answer, Mapping) else parse_record(answer)


def field_counts(
    prediction: str | Mapping | None, reference: str | Mapping | None
) -> tuple[int, int, int]:
    """(true positives, false positives, false negatives) over (field, value) pairs of one record.

    Takes texts or parsed records. An answer without a JSON object has no pairs, so all that the
    reference holds counts as missed. A field that was not asked for is a false positive.
    """
    told, asked = _pairs(_as_record(prediction)), _pairs(_as_record(reference))
    hits = len(told & asked)
    return hits, len(told) - hits, len(asked) - hits


def _pairs(record: Record | None) -> set[tuple[str, str]]:
    return {(field, value) for field, values in (record or {}).items() for value in values}


def record_f1(prediction: str | Mapping | None, reference: str | Mapping | None) -> float:
    """Set-based F1 (0 to 1) of one record; 0 when the answer holds no JSON object."""
    if _as_record(prediction) is None:
        return 0.0
    return _f1(*field_counts(prediction, reference))


def field_f1(predictions: Sequence[str], references: Sequence[str]) -> float:
    """Micro-averaged F1 (0 to 1): the counts of all records are added up, then F1 is taken once.

    F1 = 2 tp / (2 tp + fp + fn), the harmonic mean of precision and recall (van Rijsbergen 1979).
    Only records whose reference is a JSON object count. Raises CourseError when there is none.
    """
    _check_pairs(predictions, references)
    counts = _all_field_counts(predictions, references)
    if not any(counts):
        raise CourseError(
            "No reference is a JSON object, so field F1 does not apply.",
            "Use exact_match, BLEU or ROUGE for free text.",
        )
    return _f1(*(sum(column) for column in zip(*filter(None, counts), strict=True)))


def _all_field_counts(predictions, references) -> list[tuple[int, int, int] | None]:
    """One triple a record; None where the reference is free text."""
    pairs = zip(predictions, references, strict=True)
    return [None if _as_record(r) is None else field_counts(p, r) for p, r in pairs]


def _f1(tp: float, fp: float, fn: float) -> float:
    # Nothing to find and nothing invented is a perfect answer.
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 1.0


def field_f1_interval(
    predictions: Sequence[str], references: Sequence[str], samples: int = 1000, seed: int = 0
) -> dict[str, float]:
    """{"mean", "low", "high"}: field F1 of all records, and the 95 % bootstrap interval around it.

    Efron (1979): draw as many records as there are, with replacement, score the draw; the middle
    95 % of the scores are the interval. Same seed, same draws. Raises CourseError as `field_f1`.
    """
    import numpy as np

    mean = field_f1(predictions, references)
    rows = [triple for triple in _all_field_counts(predictions, references) if triple]
    counts = np.array(rows, float)
    draws = np.random.default_rng(seed).integers(0, len(counts), (samples, len(counts)))
    scores = [_f1(*counts[draw].sum(axis=0)) for draw in draws]
    return bootstrap_interval(scores, mean)


def exact_match(predictions: Sequence[str], references: Sequence[str]) -> float:
    """Share (0 to 1) of answers that are right as a whole.

    Records are compared field by field as sets; free text without case and extra spaces.
    """
    _check_pairs(predictions, references)
    pairs = zip(predictions, references, strict=True)
    return sum(_matches(p, r) for p, r in pairs) / len(references)


def _matches(prediction: str, reference: str) -> bool:
    expected = parse_record(reference)
    if expected is None:
        return _plain(prediction) == _plain(reference)
    return parse_record(prediction) == expected


# --- Texts: BLEU and ROUGE ----------------------------------------------------------------------


def bleu(predictions: Sequence[str], references: Sequence[str]) -> float:
    """Corpus BLEU, 0 to 100, as sacrebleu computes it (13a tokens, exponential smoothing).

    Papineni et al. (2002): the share of the answers' n-grams (1 to 4 words) that the references
    hold, each n-gram counted no more often than there; the geometric mean of the four shares;
    times exp(1 - reference length / answer length) when the answers are shorter. The counts are
    added over the whole test set first, so it is no mean of the records' BLEU.
    """
    _check_pairs(predictions, references)
    return _compute("bleu", predictions, references)["bleu"]


def rouge(predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """{"rouge1", "rouge2", "rougeL"}, 0 to 1: F measures averaged over the records.

    Lin (2004): overlap of words, of word pairs, and of the longest common subsequence of words,
    each measured against the answer (precision) and against the reference (recall).
    """
    _check_pairs(predictions, references)
    return _compute("rouge", predictions, references)


def answer_score(answers: Sequence[str], references: Sequence[str]) -> tuple[str, float]:
    """(name, value): field F1 where a reference is a record, else ROUGE-L; both 0 to 1."""
    if any(parse_record(reference) is not None for reference in references):
        return "field F1", field_f1(answers, references)
    scores = rouge_l_scores(answers, references)
    return "ROUGE-L", sum(scores) / len(scores)


def load_evaluate_module(name: str, experiment_id: str | None = None):
    """Load "bleu" or "rouge" from this package with `evaluate.load`: no network.

    `experiment_id` sets apart processes that share a cache folder (default: the process number).
    Predictions stay in memory, so no cache file can be written twice. Raises CourseError for
    a name that is not here.
    """
    folder = EVALUATE_MODULES / name
    if not (folder / f"{name}.py").is_file():
        known = sorted(p.name for p in EVALUATE_MODULES.iterdir() if (p / f"{p.name}.py").is_file())
        raise CourseError(
            f"There is no evaluate module {name!r}.", f"Choose one of: {', '.join(known)}."
        )
    import evaluate

    cache_folder = _writable_cache_folder()
    return evaluate.load(
        str(folder),
        cache_dir=str(cache_folder),
        keep_in_memory=True,
        experiment_id=experiment_id or f"process-{os.getpid()}",
    )


def _compute(name: str, predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """One at a time: a module keeps the predictions on itself until it has computed."""
    with _one_at_a_time:
        return _module(name).compute(predictions=list(predictions), references=list(references))


@cache
def _module(name: str):
    return load_evaluate_module(name)


def _writable_cache_folder() -> Path:
    """evaluate's own cache folder, or a private temporary one where that cannot be written.

    The loader copies the module's code into the cache and imports it from there, so the folder
    must not be one that others could have prepared.
    """
    from evaluate import config

    folders = [Path(config.HF_MODULES_CACHE), Path(config.HF_METRICS_CACHE)]
    if not all(_writable(folder) for folder in folders):
        temporary = Path(tempfile.mkdtemp(prefix="course-evaluate-"))
        atexit.register(shutil.rmtree, temporary, ignore_errors=True)
        config.HF_MODULES_CACHE = temporary / "modules"
        config.HF_METRICS_CACHE = temporary / "metrics"
    return Path(config.HF_METRICS_CACHE)


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


# --- All scores, and how sure they are ----------------------------------------------------------


def score_all(
    predictions: Sequence[str],
    references: Sequence[str],
    nll_sums: Sequence[float] | None = None,
    token_counts: Sequence[int] | None = None,
    names: Collection[str] = METRICS,
) -> dict[str, float | None]:
    """All scores of one model on one test set; a metric that does not apply is None.

    `names`: those that are wanted. BLEU and ROUGE, which take time, are else left out (None).
    Keys: perplexity (>= 1), bleu (0 to 100), rouge1, rouge2, rougeL, field_f1, exact_match
    (0 to 1). Perplexity needs both likelihood columns, field_f1 a reference that is a record.
    """
    _check_pairs(predictions, references)
    scores: dict[str, float | None] = dict.fromkeys(METRICS)
    if nll_sums is not None and token_counts is not None:
        scores["perplexity"] = perplexity(nll_sums, token_counts)
    if "bleu" in names:
        scores["bleu"] = bleu(predictions, references)
    if _wants_rouge(names):
        scores.update(rouge(predictions, references))
    if any(parse_record(reference) is not None for reference in references):
        scores["field_f1"] = field_f1(predictions, references)
    scores["exact_match"] = exact_match(predictions, references)
    return scores


def _wants_rouge(names: Collection[str]) -> bool:
    return any(name in names for name in ROUGE_TYPES)


def paired_bootstrap(
    base: Mapping[str, Sequence],
    tuned: Mapping[str, Sequence],
    samples: int = 1000,
    seed: int = 0,
    names: Collection[str] = METRICS,
) -> dict[str, dict[str, float] | None]:
    """{metric: {"mean", "low", "high"}} of tuned minus base: mean and 95 % interval.

    `base` and `tuned` are tables of columns, one row a test record, in the same order:
    {"predictions", "references", "nll", "tokens"}; without the last two, perplexity is None.
    Koehn (2004): draw as many records as there are, with replacement, the same ones for both
    models; score both on the draw; repeat. The middle 95 % of the differences are the interval.
    Each metric is that of the whole draw, as `score_all` defines it. It tells how much depends on
    which records were drawn, not what another training run would give. `names`: as of `score_all`.
    """
    import numpy as np

    _check_tables(base, tuned)
    if samples < 1:
        raise CourseError(f"samples is {samples}.", "Draw at least one sample; 1000 is usual.")
    size = len(base["references"])
    draws = np.random.default_rng(seed).integers(0, size, (samples, size))
    # weights[s, i]: how often sample s drew record i.
    weights = np.stack([np.bincount(draw, minlength=size) for draw in draws]).astype(float)
    before = _resampled_scores(_record_sums(base, names), weights)
    after = _resampled_scores(_record_sums(tuned, names), weights)
    difference: dict[str, dict[str, float] | None] = dict.fromkeys(METRICS)
    for metric in before.keys() & after.keys():
        gain = after[metric] - before[metric]
        difference[metric] = bootstrap_interval(gain, gain.mean())
    return difference


def bootstrap_interval(drawn: "Sequence[float] | np.ndarray", mean: float) -> dict[str, float]:
    """{"mean", "low", "high"}: a value and the middle 95 % of what resampling drew (Efron 1979)."""
    import numpy as np

    low, high = np.percentile(drawn, [2.5, 97.5])
    return {"mean": float(mean), "low": float(low), "high": float(high)}


def wilson_interval(wins: int, trials: int) -> dict[str, float] | None:
    """{"mean", "low", "high"}: a share and its 95 % interval; None without a trial.

    Wilson (1927): the shares that a test of the observed one would not reject. Unlike
    mean ± 2 errors it stays inside 0 to 1 and says something after 5 wins of 5.
    """
    if not trials:
        return None
    share, z2 = wins / trials, Z_95**2 / trials
    middle = (share + z2 / 2) / (1 + z2)
    half = Z_95 / (1 + z2) * (share * (1 - share) / trials + z2 / (4 * trials)) ** 0.5
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return {"mean": share, "low": low, "high": high}


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> float | None:
    """How far two people agree on the same items, beyond chance; None where it is not defined.

    Cohen (1960): (raw - chance) / (1 - chance), where `raw` is the share of items with the same
    category and `chance` the share expected from how often each uses each category. 1 is full
    agreement, 0 what chance gives. Not defined without an item, and where both always chose one
    and the same category.
    """
    n = len(first)
    ours, theirs = Counter(first), Counter(second)
    by_chance = sum(ours[name] * theirs[name] for name in ours)  # of n * n pairs: whole numbers
    if by_chance == n * n:  # also 0 of 0
        return None
    raw, chance = sum(a == b for a, b in zip(first, second, strict=True)) / n, by_chance / (n * n)
    return (raw - chance) / (1 - chance)


def _record_sums(
    table: Mapping[str, Sequence], names: Collection[str] = METRICS
) -> dict[str, "np.ndarray"]:
    """What each record adds to the sums behind each metric; first axis: the records."""
    import numpy as np

    predictions, references = table["predictions"], table["references"]
    pairs = zip(predictions, references, strict=True)
    sums = {"exact": np.array([_matches(p, r) for p, r in pairs])}
    if "bleu" in names:
        sums["bleu"] = np.array(_bleu_counts(predictions, references), float)
    if _wants_rouge(names):
        sums["rouge"] = np.array(_rouge_scores(predictions, references))
    counts = _all_field_counts(predictions, references)
    if any(counts):
        sums["fields"] = np.array([triple or (0, 0, 0) for triple in counts], float)
    if table.get("nll") is not None and table.get("tokens") is not None:
        perplexity(table["nll"], table["tokens"])  # the same errors as in score_all
        sums["likelihood"] = np.array([table["nll"], table["tokens"]], float).T
    return sums


def _resampled_scores(
    sums: Mapping[str, "np.ndarray"], weights: "np.ndarray"
) -> dict[str, "np.ndarray"]:
    """The corpus metrics of each resample: {metric: (samples,)}; weights: (samples, records)."""
    import numpy as np

    drawn = weights.sum(axis=1)
    scores = {"exact_match": weights @ sums["exact"] / drawn}
    if "bleu" in sums:
        scores["bleu"] = np.array([_bleu_of_counts(row) for row in weights @ sums["bleu"]])
    if "rouge" in sums:
        for name, column in zip(ROUGE_TYPES, sums["rouge"].T, strict=True):
            scores[name] = weights @ column / drawn
    if "fields" in sums:
        scores["field_f1"] = np.array([_f1(*row) for row in weights @ sums["fields"]])
    if "likelihood" in sums:
        nll, tokens = (weights @ sums["likelihood"]).T
        scores["perplexity"] = np.exp(nll / np.maximum(tokens, 1))  # a draw may hold no token
    return scores


def _bleu_counts(predictions: Sequence[str], references: Sequence[str]) -> list[list[int]]:
    """A record's 10 BLEU counts: two lengths, matched 1- to 4-grams, all 1- to 4-grams."""
    from sacrebleu.metrics import BLEU

    # effective_order only stops a warning about single sentences: the counts do not depend on it.
    scorer = BLEU(effective_order=True)
    rows = []
    for prediction, reference in zip(predictions, references, strict=True):
        found = scorer.sentence_score(prediction, [reference])
        rows.append([found.sys_len, found.ref_len, *found.counts, *found.totals])
    return rows


def _bleu_of_counts(counts: Sequence[float]) -> float:
    """BLEU from summed counts, with the settings of `sacrebleu.corpus_bleu`."""
    from sacrebleu.metrics import BLEU

    lengths, matched, total = counts[:2], list(counts[2:6]), list(counts[6:])
    return BLEU.compute_bleu(matched, total, *map(int, lengths), smooth_method="exp").score


def _rouge_scores(predictions: Sequence[str], references: Sequence[str]) -> list[list[float]]:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(ROUGE_TYPES)
    scored = [scorer.score(r, p) for p, r in zip(predictions, references, strict=True)]
    return [[row[name].fmeasure for name in ROUGE_TYPES] for row in scored]


def rouge_l_scores(predictions: Sequence[str], references: Sequence[str]) -> list[float]:
    """ROUGE-L F measure (0 to 1) of each record; `rouge` gives their mean."""
    _check_pairs(predictions, references)
    return [row[ROUGE_TYPES.index("rougeL")] for row in _rouge_scores(predictions, references)]


def _check_pairs(predictions: Sequence[str], references: Sequence[str]) -> None:
    if len(predictions) != len(references):
        raise CourseError(
            f"{len(predictions)} predictions came with {len(references)} references.",
            "Score exactly one answer for each record, in the same order.",
        )
    if len(references) == 0:
        raise CourseError("There are no records to score.", "Pass at least one record.")
    for name, texts in (("prediction", predictions), ("reference", references)):
        bad = next((i for i, text in enumerate(texts) if not isinstance(text, str)), None)
        if bad is not None:
            raise CourseError(
                f"The {name} of record {bad} is {type(texts[bad]).__name__}, not text.",
                "Pass decoded texts; an answer that is missing is the empty string.",
            )


def _check_tables(base: Mapping[str, Sequence], tuned: Mapping[str, Sequence]) -> None:
    for table in (base, tuned):
        missing = [name for name in ("predictions", "references") if name not in table]
        if missing:
            raise CourseError(
                f"The table has no column {missing[0]!r}.",
                "Pass a dict of lists: predictions, references, nll, tokens.",
            )
        _check_pairs(table["predictions"], table["references"])
        rows = len(table["references"])
        for name in ("nll", "tokens"):
            if table.get(name) is not None and len(table[name]) != rows:
                raise CourseError(
                    f"Column {name!r} has {len(table[name])} rows for {rows} records.",
                    "Give each record one likelihood sum and one token count.",
                )
    if list(base["references"]) != list(tuned["references"]):
        raise CourseError(
            "The two models were scored on different records or in a different order.",
            "Score both on the same test file: only then are the differences paired.",
        )
