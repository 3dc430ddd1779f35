"""The tuned model of weeks 9-10 and the cheap rivals on test records that nobody has looked at.

    python benchmarks/second_draw.py runs/week09_10                  # 300 further questions
    python benchmarks/second_draw.py runs/week09_10 --task report --records 100

Who changes a configuration after reading where the last run went wrong has fitted it a little to
those test records: their score flatters. So others of the same test part are asked here, drawn
evenly from the forms of the task. The base model isn't asked. Writes one JSON file and prints the
table.
"""

import argparse
import shlex
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]  # works from a plain clone

import shared  # noqa: E402
from rich.table import Table  # noqa: E402

from course_utils import chat, evaluation, hardware, models, rival_scores, runs  # noqa: E402
from course_utils.assignments.configuration import LoraFile, read_config  # noqa: E402
from course_utils.assignments.scripts import ADAPTER, CONFIG  # noqa: E402
from course_utils.drawing import interval_text  # noqa: E402
from course_utils.errors import CourseError  # noqa: E402
from course_utils.generation import generate_answers  # noqa: E402
from course_utils.records import read_records  # noqa: E402
from course_utils.tasks import TASKS  # noqa: E402


def unseen(
    pool: list[dict[str, str]], config: LoraFile, task: str, count: int
) -> list[dict[str, str]]:
    """`count` records of the task, evenly from its forms, that scripts/evaluate.py did not ask."""
    asked = evaluation.draw(
        pool, config.test_records, config.seed, config.tasks, True, config.test_shares
    )
    known = {id(record) for record in asked}
    rest = [record for record in pool if id(record) not in known]
    return evaluation.draw(rest, count, config.seed, [task], by_form=True)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Answers of the adapter and of every rival to the further records, and how they compare."""
    folder = options.folder
    models.require_adapter(folder / ADAPTER, "name a folder that `make assignment` made")
    config = read_config(folder / CONFIG)
    if options.task not in config.tasks:
        trained = ", ".join(config.tasks)
        raise CourseError(f"the adapter was not trained on {options.task}", f"one of: {trained}")
    train, pool = (
        read_records(folder / "data" / f"{part}.jsonl", "manufacturing")
        for part in ("train", "test")
    )
    records = unseen(pool, config, options.task, options.records)
    hardware.keep_heap()
    tokenizer = models.load_tokenizer(config.base_model)
    model = models.load_adapter(models.load_base(config.settings()), folder / ADAPTER)
    longest, begun = evaluation.answer_lengths(train, tokenizer)[options.task], time.perf_counter()
    prompts = [chat.record_messages(record, tokenizer)["prompt"] for record in records]
    answers = generate_answers(
        model, tokenizer, prompts, longest, config.eval_batch_size, "tuned model"
    )
    seconds = time.perf_counter() - begun
    rivals = rival_scores.measure(train, records)
    nothing = [""] * len(records)  # in place of the base model
    found = rival_scores.compare(records, nothing, answers, rivals)[options.task]
    rows = [{k: v for k, v in row.items() if k != "base"} for row in found["rows"]]
    return {
        "command": shlex.join(["python", *sys.argv]),
        "task": options.task,
        "score": found["score"],
        "seconds": round(seconds, 1),
        "rows": rows,
        "hardware": hardware.detect().to_dict(),
        "versions": runs.versions(),
    }


def table(report: dict[str, Any]) -> Table:
    """A row for the task and one for each form."""
    shown = Table(title=f"{report['task']}: {report['score']} of records not asked before")
    for name in ("form", "records", "tuned", "best fitted rival", "difference, 95 % interval"):
        shown.add_column(name, justify="left" if name == "form" else "right")
    for row in report["rows"]:
        rival, over = row["rival"], rival_scores.over_best(row)
        span = interval_text(over) if over else "-"
        best = f"{rival} {row['rivals'][rival]:.2f}" if rival else "-"
        shown.add_row(row["form"] or "all", str(row["records"]), f"{row['tuned']:.2f}", best, span)
    return shown


def main(given: list[str] | None = None) -> int:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="a submission of weeks 9-10 with its adapter")
    parser.add_argument("--task", choices=TASKS, default="qa")
    parser.add_argument("--records", type=shared.positive, default=300, help="default: 300")
    parser.add_argument("--out", type=Path, default=Path("second_draw.json"))
    return shared.run(parser.parse_args(given), measure, table)


if __name__ == "__main__":
    sys.exit(main())
