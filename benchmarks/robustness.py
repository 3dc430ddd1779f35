"""Tuned model against the cheap rivals where the text is not what training held.

    python benchmarks/robustness.py runs/manufacturing-cpu               # misspelt, other words
    python benchmarks/robustness.py runs/manufacturing-cpu --hold-out    # and unseen values: trains

A run folder of the five notebooks gives adapter, training records and test orders. Their texts are
changed, the right answers are not: letters go wrong as on a keyboard, at three rates; known words
give way to words that no training text holds (unseen_words.yaml). With --hold-out the adapter is
trained anew, with the run's settings, without any record that carries one of some label values;
the orders that carry them are then asked. Every rival is fitted on the same training records.
Writes one JSON file and one figure, and prints the table.
"""

import argparse
import json
import random
import re
import shlex
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]  # works from a plain clone

import shared  # noqa: E402

from course_utils import (  # noqa: E402
    chat,
    compat,
    drawing,
    hardware,
    metrics,
    models,
    rivals,
    runs,
)
from course_utils.errors import CourseError  # noqa: E402
from course_utils.generation import generate_answers  # noqa: E402
from course_utils.handwritten import read_yaml  # noqa: E402
from course_utils.lab import parameters, recording  # noqa: E402
from course_utils.records import read_records, write_records  # noqa: E402
from course_utils.rival_results import best_rival, interval_of  # noqa: E402
from course_utils.settings import resolve_precision  # noqa: E402

WORDS = Path(__file__).with_name("unseen_words.yaml")
RATES = (0.02, 0.05, 0.10)  # of the letters
KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
SAMPLES = 1000  # bootstrap
# A value is held out where its own name stands in at least half of the orders that carry it (so
# that it can be read), where enough test orders carry it, and few training records.
NAMED, LEAST_ORDERS, MOST_TRAINING = 0.5, 4, 0.06

Value = tuple[str, str]  # field, value


# --- Misspelling ----------------------------------------------------------------------------------


def misspell(text: str, rate: float, draw: random.Random) -> str:
    """The text with each letter hit with probability `rate`: a neighbouring key, left out, doubled,
    or changed with the next one. Digits and signs stay, so that codes can be read."""
    letters, made, place = list(text), [], 0
    while place < len(letters):
        letter = letters[place]
        place += 1
        if not (letter.isascii() and letter.isalpha() and draw.random() < rate):
            made.append(letter)
            continue
        kind = draw.choice(("neighbour", "omit", "double", "swap"))
        if kind == "swap" and not (place < len(letters) and letters[place].isalpha()):
            kind = "double"
        if kind == "neighbour":
            made.append(_neighbour(letter, draw))
        elif kind == "double":
            made += [letter, letter]
        elif kind == "swap":
            made += [letters[place], letter]
            place += 1
    return "".join(made)


def _neighbour(letter: str, draw: random.Random) -> str:
    """A key to the left or right of this one, in the same case."""
    row = next(keys for keys in KEYS if letter.lower() in keys)
    at = row.index(letter.lower())
    key = draw.choice([row[i] for i in (at - 1, at + 1) if 0 <= i < len(row)])
    return key.upper() if letter.isupper() else key


# --- Other words ----------------------------------------------------------------------------------


def read_words(known_texts: Sequence[str], path: Path = WORDS) -> dict[str, list[str]]:
    """{phrase: phrases that say the same and stand in none of the known texts}."""
    known = f" {' '.join(plain(text) for text in known_texts)} "
    found = {}
    for phrase, others in read_yaml(path).items():
        unseen = [other for other in others if f" {plain(other)} " not in known]
        if unseen:
            found[phrase] = unseen
    return found


def plain(text: str) -> str:
    """Lower case, words only, single spaces; `/` stays, as in l/h."""
    return " ".join(re.findall(r"[a-z0-9/]+", text.lower()))


def reword(text: str, words: dict[str, list[str]], draw: random.Random) -> str:
    """The text with every phrase of the list said in other words, the longest first."""
    ordered = sorted(words, key=lambda phrase: (-len(phrase), phrase))
    pattern = "|".join(re.escape(phrase) for phrase in ordered)
    return re.sub(
        rf"(?<![\w/])(?:{pattern})(?![\w/])",
        lambda match: draw.choice(words[match[0].lower()]),
        text,
        flags=re.IGNORECASE,
    )


# --- Values that training does not hold -----------------------------------------------------------


def values_of(record: dict) -> set[Value]:
    """(field, value) pairs of a record's answer, as they are compared."""
    fields = metrics.parse_record(record["output"]) or {}
    return {(field, value) for field, values in fields.items() for value in values}


def choose_held_out(train: Sequence[dict], test: Sequence[dict]) -> list[Value]:
    """The label values to hold out, by the rule above; CourseError where there is none."""
    carried = Counter(value for record in test for value in values_of(record))
    named = Counter(
        value for r in test for value in values_of(r) if value[1].rstrip("s") in plain(r["input"])
    )
    trained = Counter(value for record in train for value in values_of(record))
    found = sorted(
        value
        for value, count in carried.items()
        if count >= LEAST_ORDERS
        and named[value] >= NAMED * count
        and 0 < trained[value] <= MOST_TRAINING * len(train)
    )
    if not found:
        raise CourseError(
            f"no label value can be held out of {len(train)} training and {len(test)} test records",
            "take a run with more records",
        )
    return found


def only(answer: str, values: Sequence[Value]) -> str:
    """The answer with nothing but these values in it: a score on them alone."""
    kept: dict[str, list[str]] = {}
    for field, found in sorted((metrics.parse_record(answer) or {}).items()):
        if own := sorted(value for value in found if (field, value) in values):
            kept[field] = own
    return json.dumps(kept)


# --- Asking and scoring ---------------------------------------------------------------------------


@dataclass
class Side:
    """A tuned model, and the records that it and the rivals were trained on."""

    model: Any
    tokenizer: Any
    train: list[dict]
    settings: Any

    def answers(self, test: Sequence[dict]) -> dict[str, list[str]]:
        """{"tuned" or a rival: its answers}."""
        prompts = [chat.record_messages(r, self.tokenizer)["prompt"] for r in test]
        limit, batch = self.settings.max_new_tokens, self.settings.eval_batch_size
        tuned = generate_answers(self.model, self.tokenizer, prompts, limit, batch)
        others = rivals.answer(self.train, test)
        return {"tuned": tuned, **{name: one.answers for name, one in others.items()}}


def condition(
    name: str, answers: dict[str, list[str]], references: list[str], seed: int, **more: Any
) -> dict[str, Any]:
    """Field F1 of each method, and the interval of tuned minus the best rival."""
    scores = {
        method: {"field_f1": metrics.field_f1(given, references)}
        for method, given in answers.items()
    }
    best = best_rival({m: s for m, s in scores.items() if m != "tuned"}, "field_f1")
    tables = (
        {"predictions": answers[method], "references": references} for method in (best, "tuned")
    )
    difference = metrics.paired_bootstrap(*tables, SAMPLES, seed)["field_f1"]
    return {
        "name": name,
        "records": len(references),
        "field_f1": {method: one["field_f1"] for method, one in scores.items()},
        "rival": best,
        "over_rival": interval_of(difference),
        **more,
    }


def changed(test: Sequence[dict], change: Callable[[str, random.Random], str], seed: int) -> list:
    """The test records with changed texts: each text has a seed of its own."""
    return [
        {**record, "input": change(record["input"], random.Random(f"{seed}/{record['input']}"))}
        for record in test
    ]


def asked_conditions(side: Side, test: list[dict], seed: int) -> Iterator[dict[str, Any]]:
    """As written, misspelt at each rate, in other words; the last beside the same orders as is."""
    references = [record["output"] for record in test]
    clean = side.answers(test)
    yield condition("as written", clean, references, seed)
    for rate in RATES:
        texts = changed(test, lambda text, draw, rate=rate: misspell(text, rate, draw), seed)
        name = f"{100 * rate:.0f} % of the letters wrong"
        yield condition(name, side.answers(texts), references, seed, examples=_pairs(test, texts))
    words = read_words([record["input"] for record in side.train])
    texts = changed(test, lambda text, draw: reword(text, words, draw), seed)
    places = [i for i, record in enumerate(test) if texts[i]["input"] != record["input"]]
    own = [references[i] for i in places]
    same = {method: [given[i] for i in places] for method, given in clean.items()}
    yield condition("orders with a word to replace, as written", same, own, seed)
    texts = [texts[i] for i in places]
    yield condition(
        "the same orders in words never trained on",
        side.answers(texts),
        own,
        seed,
        phrases=len(words),
        examples=_pairs([test[i] for i in places], texts),
    )


def _pairs(before: Sequence[dict], after: Sequence[dict]) -> list[list[str]]:
    """Five texts before and after, to be read."""
    pairs = [[a["input"], b["input"]] for a, b in zip(before, after, strict=True)]
    return [pair for pair in pairs if pair[0] != pair[1]][:5]


def held_out_conditions(
    run: runs.Run, train: list[dict], test: list[dict], seed: int
) -> Iterator[dict[str, Any]]:
    """Train without some values, ask the orders that carry them: the whole answer, those values."""
    values = choose_held_out(train, test)
    left = [record for record in train if not values_of(record) & set(values)]
    asked = [record for record in test if values_of(record) & set(values)]
    print(f"held out: {', '.join(value for _, value in values)}; {len(left)} records left")
    record: dict[str, Any] = {}
    model, tokenizer = train_without(run, left, values, seed, record)
    answers = Side(model, tokenizer, left, run.settings).answers(asked)
    references = [record["output"] for record in asked]
    told = {
        "values": [list(value) for value in values],
        "train_records": len(left),
        "training": {name: record[name] for name in ("steps", "seconds", "eval_loss", "command")},
    }
    name = "orders with a value never trained on"
    yield condition(name, answers, references, seed, **told)
    alone = {method: [only(a, values) for a in given] for method, given in answers.items()}
    name = "those values alone"
    yield condition(name, alone, [only(text, values) for text in references], seed)


def train_without(
    run: runs.Run, left: list[dict], values: Sequence[Value], seed: int, record: dict[str, Any]
) -> tuple[Any, Any]:
    """An adapter with the run's settings on the records that are left; its summary in `record`."""
    names = [name for name in parameters.SETTABLE if hasattr(run.settings, name)]
    settings = parameters.checked({name: getattr(run.settings, name) for name in names})
    with tempfile.TemporaryDirectory(prefix="robustness-") as folder:
        work = Path(folder)
        val = [
            r for r in read_records(run.path("data", "val.jsonl")) if not values_of(r) & set(values)
        ]
        train_file = write_records(work / "train.jsonl", left)
        val_file = write_records(work / "val.jsonl", val)
        more = ["--eval_data", str(val_file), "--evaluations", "2", "--no_checkpoints"]
        more += ["--seed", str(seed), "--base_model", run.settings.base_model]
        line = parameters.to_command(settings, str(train_file), str(work / "adapter"), more)
        trained = recording.train(shlex.split(line)[2:], record)
        record["command"] = line.replace(folder, ".")
        return trained


# --- The report -----------------------------------------------------------------------------------


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All conditions, in the order of the table."""
    run = _open(options.run)
    train, test = (read_records(run.path("data", f"{name}.jsonl")) for name in ("train", "test"))
    test = test[: options.records]
    settings = run.settings
    tokenizer = models.load_tokenizer(settings.base_model)
    model = models.load_adapter(models.load_base(settings), run.folder / "adapter")
    model.eval()
    started, rows = time.time(), []
    conditions = asked_conditions(Side(model, tokenizer, train, settings), test, options.seed)
    for row in conditions:
        rows.append(row)
        print(told(row), flush=True)
    del model, conditions
    for row in held_out_conditions(run, train, test, options.seed) if options.hold_out else ():
        rows.append(row)
        print(told(row), flush=True)
    return {
        "run": run.folder.name,
        "base_model": settings.base_model,
        "train_records": len(train),
        "test_records": len(test),
        "seed": options.seed,
        "command": shlex.join(["python", "benchmarks/robustness.py", *sys.argv[1:]]),
        "conditions": rows,
        "seconds": round(time.time() - started, 1),
        "versions": runs.versions(),
        "hardware": hardware.detect().to_dict(),
    }


def _open(folder: Path) -> runs.Run:
    """A run folder with an adapter; CourseError for any other."""
    needed = ("settings.json", "data/train.jsonl", "data/test.jsonl", "adapter/adapter_config.json")
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        raise CourseError(
            f"{folder}: there is no {missing[0]}",
            "give the folder of a finished run: course run --preset cpu --out runs/NAME",
        )
    settings, _ = resolve_precision(runs.saved_settings(folder / "settings.json"))
    return runs.Run(folder.absolute(), settings)


def told(row: dict[str, Any]) -> str:
    """One line for a condition that has been measured."""
    scores = ", ".join(f"{method} {value:.3f}" for method, value in row["field_f1"].items())
    return f"{row['name']} ({row['records']} orders): {scores}"


def table(report: dict[str, Any]) -> Any:
    """The conditions as a Markdown table."""
    from rich import box
    from rich.table import Table

    methods = list(report["conditions"][0]["field_f1"])
    made = Table(box=box.MARKDOWN)
    for name in ("condition", "orders", *methods, "best rival", "tuned - best rival"):
        made.add_column(name, justify="left" if name in ("condition", "best rival") else "right")
    for row in report["conditions"]:
        scores = [f"{row['field_f1'][method]:.2f}" for method in methods]
        span = drawing.interval_text(row["over_rival"]) if row["over_rival"] else "–"
        made.add_row(row["name"], str(row["records"]), *scores, row["rival"], span)
    return made


@drawing.styled
def figure(report: dict[str, Any]) -> Any:
    """Field F1 of tuned model and best rival in each condition, one row each."""
    rows = report["conditions"]
    drawn, ax = drawing.new_figure(9.6, 1.6 + 0.5 * len(rows))
    places = range(len(rows))
    sides = {
        "best rival": ([r["field_f1"][r["rival"]] for r in rows], drawing.GREEN, "^", -0.12),
        "tuned": ([r["field_f1"]["tuned"] for r in rows], drawing.BLUE, "o", 0.12),
    }
    for label, (values, color, marker, shift) in sides.items():
        ax.plot(values, [place + shift for place in places], marker, color=color, ms=9, label=label)
        for place, value in zip(places, values, strict=True):
            # Left of the lower one: on its right the other's marker would cover it.
            left = value > 0.05 and value < max(own[place] for own, *_ in sides.values())
            ax.annotate(f"{value:.2f}", (value, place + shift), xytext=(-8 if left else 8, 0),
                        size=10, textcoords="offset points", va="center",
                        ha="right" if left else "left")  # fmt: skip
    ax.set_yticks(places, [row["name"] for row in rows])
    ax.invert_yaxis()
    ax.set(xlabel="field F1 on gold", xlim=(0, 1.08))
    drawing.add_grid(ax, "x")
    drawing.add_legend(ax, loc="best")
    drawing.state_finding(drawn, headline(report))
    return drawn


def headline(report: dict[str, Any]) -> str:
    """Where the tuned model beats every rival with an interval that excludes 0, and where not."""
    sure = [row for row in report["conditions"] if drawing.excludes_zero(row["over_rival"])]
    wins = [row["name"] for row in sure if row["over_rival"]["mean"] > 0]
    loses = sum(row["over_rival"]["mean"] < 0 for row in sure)
    parts = [f"ahead of every rival on {'; '.join(wins)}"] if wins else ["nowhere surely ahead"]
    parts += [f"behind the best in {loses} of {len(report['conditions'])} rows"] if loses else []
    return f"The tuned model is {', and '.join(parts)}"


def main() -> int:
    """Measure, write JSON and figure, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="run folder with an adapter")
    parser.add_argument("--hold-out", action="store_true", help="train without some label values")
    parser.add_argument("--records", type=shared.positive, help="only the first test orders")
    parser.add_argument("--seed", type=int, default=1, help="of the changes, draws and training")
    parser.add_argument("--out", type=Path, default=Path("robustness.json"), help="JSON file")
    compat.quiet_known_noise()
    return shared.run(parser.parse_args(), measure, table, figure=figure)


if __name__ == "__main__":
    sys.exit(main())
