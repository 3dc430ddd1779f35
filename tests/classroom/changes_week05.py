"""What only a submission of week 5 can have wrong, or forged."""

import re
from collections.abc import Callable
from pathlib import Path

import nbformat
from classroom import study
from classroom.changes import change

from course_utils.lab import questions
from course_utils.reports import write

RECORDS, ASKED, ANSWERS = "records.jsonl", "test_questions.jsonl", "answers.json"


def edit_lines(folder: Path, name: str, edit: Callable[[list[dict]], list[dict]]) -> None:
    """The records of a file after `edit`."""
    path = folder / name
    study.write_lines(path, edit(study.read_lines(path)))


# --- Records and questions (before training) ----------------------------------------------------


@change
def few_records(folder: Path, count: int) -> None:
    """Only this many records."""
    edit_lines(folder, RECORDS, lambda rows: rows[:count])


@change
def repeated_question(folder: Path) -> None:
    """The first question stands at the end again, in the same words."""
    edit_lines(folder, RECORDS, lambda rows: [*rows, rows[0]])


@change
def two_groups(folder: Path) -> None:
    """All records but four are about one mineral, and no record names its source.

    With one group alone train_lora.py would refuse to train: nothing could be kept for validation.
    """

    def edit(rows: list[dict]) -> list[dict]:
        kept = [{n: v for n, v in row.items() if n != "source"} for row in rows]
        return [row | {"group": "opal" if n < 4 else "quartz"} for n, row in enumerate(kept)]

    edit_lines(folder, RECORDS, edit)


@change
def few_questions(folder: Path, count: int) -> None:
    """Only this many test questions."""
    edit_lines(folder, ASKED, lambda rows: rows[:count])


@change
def known_questions(folder: Path) -> None:
    """All test questions stand in records.jsonl."""
    known = study.read_lines(folder / RECORDS)
    edit_lines(
        folder,
        ASKED,
        lambda rows: [{**r, "expected": r.pop("answer")} for r in known[: len(rows)]],
    )


@change
def broken_record(folder: Path) -> None:
    """A line of records.jsonl is cut off."""
    path = folder / RECORDS
    lines = path.read_text("utf-8").splitlines()
    lines[4] = lines[4][:60]
    path.write_text("\n".join(lines) + "\n", "utf-8")


# --- Afterwards ---------------------------------------------------------------------------------


@change
def unanswered(folder: Path) -> None:
    """Nobody asked the adapter."""
    edit_lines(folder, ASKED, lambda rows: [{**row, "answer": ""} for row in rows])
    (folder / ANSWERS).unlink()


@change
def answered_by_hand(folder: Path) -> None:
    """The answers are what was expected, in both files, with scores that follow from them."""
    edit_lines(folder, ASKED, lambda rows: [{**row, "answer": row["expected"]} for row in rows])
    asked = questions.read_questions(folder / ASKED)

    def change_answers(told: dict) -> None:
        rows = told["answers"]
        counts = {"nll": [50.0] * len(rows), "tokens": [20] * len(rows)}
        base = {"answers": [row["base_answer"] for row in rows], **counts}
        tuned = {"answers": [row["expected"] for row in rows], **counts}
        new = questions.compare(asked, base, tuned)
        for side in ("base", "tuned"):  # the likelihoods are not what is forged here
            new[side]["perplexity"] = told[side]["perplexity"]
        new["difference"]["perplexity"] = told["difference"]["perplexity"]
        told.update(new)

    study.edit_json(folder / ANSWERS, change_answers)


@change
def score_raised(folder: Path) -> None:
    """A higher token F1 than the answers give."""
    study.edit_json(folder / ANSWERS, lambda told: told["tuned"].update(token_f1=0.93))


@change
def log_lowered(folder: Path, loss: float) -> None:
    """A lower validation loss in training.json with its perplexity, and a report made with it."""
    values = {"eval_loss": loss, "perplexity": 2.718281828459045**loss}
    study.edit_json(folder / "training.json", lambda told: told.update(values))
    (folder / "report.pdf").unlink()
    write.write_report([folder], "pdf")


@change
def sections_missing(folder: Path, names: list[str]) -> None:
    """These parameters' answers are still the starter's placeholder."""
    path = folder / "parameter_analysis.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if any(cell.source.startswith(f"### {name}\n") for name in names):
            asked = re.findall(r"\*\*[^*]+\?\*\*", cell.source)
            head = cell.source.split("\n")[0]
            cell.source = "\n\n".join([head, *(f"{q}\n\nYOUR ANSWER HERE" for q in asked)])
    nbformat.write(notebook, path)


@change
def no_outputs(folder: Path) -> None:
    """The notebook was saved without its outputs."""
    path = folder / "parameter_analysis.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, path)


@change
def report_is_text(folder: Path) -> None:
    """report.pdf is a text file."""
    (folder / "report.pdf").write_text("Our report will follow by mail.\n", "utf-8")
