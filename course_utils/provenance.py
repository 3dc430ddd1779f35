"""What the files of a run were made from, told by their content.

    prints = provenance.seen_by("training.json", run)   # before a notebook reads its data
    run.write("training.json", {**summary, "prints": prints | provenance.of_adapter(run)})
    provenance.require(run.folder, "training.json")     # CourseError where it is of other data

Each result of a run names under `prints` what it saw: the parts of the data, the base model, the
adapter's weights. So a training part that was split again is noticed before the test part is asked,
and a copied run belongs together as the original does. Times of files are never compared: a copy
makes them all new. A result of an older kit has no prints: that is a warning, not a refusal.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from course_utils.digests import digest, sha256_of
from course_utils.errors import CourseError
from course_utils.files import read_object
from course_utils.records import read_records
from course_utils.runs import WRITTEN_BY, Run, settings_in
from course_utils.splits import normalise, text_of

PRINTS = "prints"  # the field of a result
DATA = {"train": "training", "val": "validation", "test": "test"}  # part -> in words
ADAPTER = "adapter/adapter_model.safetensors"
# Result -> what it is made from; the adapter is added to training.json when it is saved.
SEEN_BY = {
    "baseline.json": ("train", "test"),
    "training.json": ("train", "val"),
    "evaluation.json": ("test", "adapter", "baseline"),
    "inference.json": ("test", "adapter"),
}
# Result -> the settings that shape it: settings.json may have others by now.
ASKED_WITH = ("quantization", "max_new_tokens")
SHAPED_BY = {
    "baseline.json": ASKED_WITH,
    "training.json": (
        "lora_r", "lora_alpha", "lora_dropout", "include_mlp", "learning_rate", "num_train_epochs",
        "per_device_train_batch_size", "gradient_accumulation_steps", "max_length", "warmup_ratio",
        "lr_scheduler_type", "quantization",
    ),
    "evaluation.json": ASKED_WITH,
}  # fmt: skip
# Who reads what a notebook writes: they have to run after it.
READERS = {"02": ("04",), "03": ("04", "05")}
COMPARED = ("baseline.json", "training.json", "evaluation.json")  # what the table rests on
ASKED = ("input", "reference", "zero_shot", "few_shot")  # of a prediction in baseline.json
LENGTH = 16  # hexadecimal digits of a print: no two contents share one by accident
TEXT_LENGTH = 10  # of a record's text; among 4,000 x 400 pairs one in 700,000 runs has a false one


# --- Prints -------------------------------------------------------------------------------------


def seen_by(name: str, run: Run) -> dict[str, Any]:
    """The prints of what the result `name` is made from, as it lies in the run folder now.

    Raises CourseError that names the notebook which writes what is missing.
    """
    now = _Now(run.folder)
    for part in SEEN_BY[name]:
        file = _file_of(part)
        if not (run.folder / file).is_file():
            raise CourseError(
                f"{run.folder / file}: there is no such file",
                f"run notebook {WRITTEN_BY[file]} first",
            )
    seen = {part: now.print_of(part) for part in SEEN_BY[name]}
    texts = {"train_texts": " ".join(now.texts("train"))} if name == "training.json" else {}
    shaped = {key: getattr(run.settings, key) for key in SHAPED_BY.get(name, ())}
    settings = {"settings": shaped} if shaped else {}
    return {"base_model": run.settings.base_model, **settings, **seen, **texts}


def of_adapter(run: Run) -> dict[str, str]:
    """The print of the weights that were just saved, to be added to those of training.json."""
    return {"adapter": of_weights(run.folder / "adapter")}


def of_weights(adapter: Path) -> str:
    """The print of the weights in an adapter's folder; CourseError where there are none."""
    path = Path(adapter) / "adapter_model.safetensors"
    if not path.is_file():
        raise CourseError(f"{path}: there is no such file", "save the adapter there first")
    return sha256_of(path)[:LENGTH]


def of_records(path: Path) -> str:
    """The print of a file of records: by what is in them, not by line ends or order of fields."""
    return _of(read_records(path))


def _of(records: Sequence[Mapping[str, str]]) -> str:
    return digest(list(records))[:LENGTH]


def _text_print(record: Mapping[str, str]) -> str:
    return digest(normalise(text_of(record)))[:TEXT_LENGTH]


def _file_of(part: str) -> str:
    return {"adapter": ADAPTER, "baseline": "baseline.json"}.get(part, f"data/{part}.jsonl")


class _Now:
    """What lies in a run folder now; each part is read when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.print_of = cache(self._print_of)
        self._records = cache(read_records)

    def _print_of(self, part: str) -> Any:
        """A part's print; None where it is not there or cannot be read, so nothing is compared."""
        path = self.folder / _file_of(part)
        if part == "settings":
            return settings_in(self.folder)
        if part == "base_model":
            return self.print_of("settings").get("base_model")
        if not path.is_file():
            return None
        if part == "adapter":
            return of_weights(path.parent)
        if part == "baseline":
            return _of_baseline(read_object(path))
        try:
            records = self._records(path)
        except CourseError:
            return None
        return {"records": len(records), "print": _of(records)}

    def texts(self, part: str) -> list[str]:
        """A short print of each record's text, so that it can be looked up without the record."""
        return [_text_print(record) for record in self._records(self.folder / _file_of(part))]


def _of_baseline(content: Mapping[str, Any]) -> str | None:
    """A print of what was asked and answered in baseline.json.

    Times and likelihoods do not count: the last digits of both differ from one run to the next.
    """
    if not content:
        return None
    rivals, rows = content.get("rivals"), content.get("predictions")
    told = [content.get("base_model"), content.get("main")]
    for one in rivals.values() if isinstance(rivals, dict) else ():
        told.append(one.get("answers") if isinstance(one, dict) else None)
    for row in rows if isinstance(rows, list) else ():
        told.append([row.get(name) for name in ASKED] if isinstance(row, dict) else None)
    return digest(told)[:LENGTH]


# --- What does not belong together --------------------------------------------------------------


@dataclass(frozen=True)
class Stale:
    """A result that was made from something else than lies in the run folder now."""

    file: str
    parts: tuple[str, ...]  # what differs: keys of its prints
    found: str  # in words

    @property
    def notebook(self) -> str:
        """Number of the notebook that writes the file."""
        return WRITTEN_BY[self.file][:2]


def stale(folder: Path, names: Sequence[str] = tuple(SEEN_BY)) -> list[Stale]:
    """The results of a run folder that do not belong to what lies there now, in order of work."""
    now, found = _Now(folder), []
    for name in names:
        prints = _prints_in(folder, name) or {}
        differ = tuple(part for part in prints if _differs(prints[part], now, part))
        if differ:
            found.append(Stale(name, differ, " and ".join(_told(name, differ, prints, now))))
    return found


def _prints_in(folder: Path, name: str) -> dict[str, Any] | None:
    """The prints of a result; None where it is not there, or has none."""
    prints = read_object(Path(folder) / name).get(PRINTS)
    return prints if isinstance(prints, dict) and prints else None


def _differs(old: Any, now: _Now, part: str) -> bool:
    if part == "settings":
        return bool(_other_settings(old, now))
    known = part in (*DATA, "adapter", "baseline", "base_model")
    new = now.print_of(part) if known else None
    return new is not None and new != old


def _other_settings(old: Any, now: _Now) -> list[str]:
    """The settings that shaped a result and are others in settings.json."""
    new = now.print_of("settings")
    if not isinstance(old, dict):
        return []
    return [key for key, value in old.items() if key in new and new[key] != value]


def _told(name: str, differ: Sequence[str], prints: Mapping[str, Any], now: _Now) -> Iterator[str]:
    """The differences of one result, each as a part of a sentence; short: a log cuts long ones."""
    parts = [part for part in differ if part in DATA]
    if name == "training.json" and "train" in parts:
        counts = _counts(prints["train"], now, "train")
        yield f"the adapter was trained on another training part{counts}{_leaked(prints, now)}"
    elif parts:
        told = " and ".join(
            f"{DATA[part]} part{_counts(prints[part], now, part)}" for part in parts
        )
        yield f"{name} is of another {told} than data/ holds"
    if "base_model" in differ:
        new = now.print_of("base_model")
        yield f"{name} is of the base model {prints['base_model']}, the run now of {new}"
    if "settings" in differ:
        old, new = prints["settings"], now.print_of("settings")
        keys = _other_settings(old, now)
        told = ", ".join(f"{key} {old[key]} (now {new[key]})" for key in keys)
        yield f"{name} was made with {told}"
    if "adapter" in differ:
        verb = "tells" if name == "training.json" else "is"
        yield f"{name} {verb} of another adapter than lies in adapter/"
    if "baseline" in differ:
        yield f"{name} was compared with another baseline.json"


def _counts(old: Any, now: _Now, part: str) -> str:
    before = old.get("records") if isinstance(old, dict) else None
    after = now.print_of(part)["records"]
    return f" ({before} records then, {after} now)" if isinstance(before, int) else ""


def _leaked(prints: Mapping[str, Any], now: _Now) -> str:
    """How many of today's test records the adapter was trained on, where that can be told."""
    texts = prints.get("train_texts")
    if not isinstance(texts, str) or now.print_of("test") is None:
        return ""
    known, asked = set(texts.split()), now.texts("test")
    stand = sum(text in known for text in asked)
    verb = "stands" if stand == 1 else "stand"
    return (
        f"; {stand or 'none'} of the {len(asked)} test records {verb} word for word in the old one"
    )


def unsigned(folder: Path, names: Sequence[str] = tuple(SEEN_BY)) -> list[str]:
    """The results that do not say what they were made from: those of an older kit."""
    there = [name for name in names if (Path(folder) / name).is_file()]
    return [name for name in there if _prints_in(folder, name) is None]


def cure(folder: Path, found: Sequence[Stale]) -> str:
    """Which notebooks to run, and the command that does it."""
    numbers = {one.notebook for one in found}
    for number in sorted(numbers):
        numbers |= set(READERS.get(number, ()))
    first, *rest = sorted(numbers)
    then = f", then {', '.join(rest[:-1])}{' and ' * (len(rest) > 1)}{rest[-1]}" if rest else ""
    command = ["course", "run", "--only", ",".join(sorted(numbers)), "--out", str(folder)]
    return f"run notebook {first} again{then}: {shlex.join(command)}"


def warning(folder: Path, names: Sequence[str] = tuple(SEEN_BY)) -> str:
    """What to say of results that do not tell what they saw; "" where all of them do."""
    old = unsigned(folder, names)
    if not old:
        return ""
    verb = "does" if len(old) == 1 else "do"
    return (
        f"{', '.join(old)} {verb} not say of what data and adapter (made by an older kit), so "
        "whether this run's files belong together cannot be told"
    )


def spoils_table(found: Sequence[Stale]) -> bool:
    """Whether the table of base and tuned model rests on one of these."""
    return any(one.file in COMPARED for one in found)


def lines(folder: Path, found: Sequence[Stale]) -> Iterator[str]:
    """What was `found` stale in a run folder, with the cure last; nothing where all is well."""
    yield from (f"From before a change: {one.found}." for one in found)
    if found:
        yield f"Cure: {cure(folder, found)}"
    if told := warning(folder):
        yield f"Warning: {told}."


def require(folder: Path, *names: str, warns: bool = True) -> None:
    """CourseError where one of these results is not of what lies in the run folder now.

    A result that does not say what it was made from gives a printed warning, if `warns`.
    """
    found = stale(folder, names)
    if found:
        told = "; ".join(one.found for one in found)
        raise CourseError(told, cure(folder, found))
    if warns and (told := warning(folder, names)):
        print(f"Warning: {told}.")


def require_asked(test: Sequence[Mapping[str, str]], baseline: Mapping[str, Any]) -> None:
    """CourseError where these test records are not the ones that notebook 02 asked, one by one."""
    asked = [row["input"] for row in baseline["predictions"]]
    own = [record["input"] for record in test]
    if own == asked:
        return
    if own and len(own) < len(asked) and set(own) <= set(asked):
        raise CourseError(
            f"`test` has {len(own)} of the {len(asked)} records that notebook 02 asked",
            "leave `test` as it is; to score fewer, shorten both tables, below section 6: "
            f"few = [{{k: v[:{len(own)}] for k, v in table.items()}} "
            "for table in (base_table, tuned_table)], then "
            "metrics.paired_bootstrap(*few, bootstrap_samples, bootstrap_seed)",
        )
    raise CourseError(
        f"baseline.json is of other test records ({len(asked)}) than `test` holds ({len(own)})",
        "run notebook 02 again, then this one",
    )
