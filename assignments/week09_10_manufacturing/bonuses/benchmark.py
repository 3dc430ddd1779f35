"""Bonus: lm-eval on MMLU, ARC, HellaSwag and held-out manufacturing questions, base against tuned.

python bonuses/benchmark.py --limit 20                                   # the base model alone
python bonuses/benchmark.py --adapter models/finetuned_model --records data/test.jsonl --limit 100

Offline after the first run, which fetches the questions (86 MB, once). On one CPU core the embedded
model takes 0.2 to 0.6 seconds a question: for --limit 100, 8 tasks and two models 5 to 15 minutes.
On a GPU leave --limit out. Needs: pip install -r requirements-bonus.txt
"""

import argparse
import sys
from pathlib import Path

from course_utils import privacy, records
from course_utils.assignments.bonuses.harness import (
    comparing,
    manufacturing,
    questions,
    report,
    running,
    task_files,
)
from course_utils.console import console, make_printable
from course_utils.errors import CourseError

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
what = parser.add_argument_group("what is scored")
what.add_argument("--base-model", default="smollm2-135m-instruct", help="a name or a folder")
what.add_argument("--adapter", type=Path, help="PEFT folder; without it only the base is scored")
asked = parser.add_argument_group("what is asked")
asked.add_argument("--records", type=Path, help="test.jsonl: adds the manufacturing task")
asked.add_argument("--limit", type=int, help="questions a task, at least 2; default: all")
asked.add_argument("--shots", type=int, default=0, help="MMLU examples first, 0 to 5; default 0")
asked.add_argument("--chat", action="store_true", help="ask through the chat template")
asked.add_argument(
    "--hub-task", action="append", default=[], help="also a task of lm-eval's own; repeatable"
)
asked.add_argument("--seed", type=int, default=42, help="order of questions, distractors; 42")
how = parser.add_argument_group("how")
how.add_argument("--batch-size", type=int, default=8, help="choices scored at once; default 8")
how.add_argument("--out", type=Path, default=Path("reports/benchmark"), help="folder to write")


def main(args: argparse.Namespace) -> None:
    task_files.check_counts(args.limit, args.shots)
    running.require_lm_eval()
    questions.prepare_questions()

    # The files of the tasks: lm-eval reads a YAML and a JSON-lines file for each.
    test = records.read_records(args.records, "manufacturing") if args.records else []
    held_out = manufacturing.manufacturing_questions(test, args.seed) if test else []
    tasks = args.out / "tasks"
    task_files.write_tasks(tasks, args.limit, args.seed, args.shots, held_out)
    print(f"tasks written to {tasks}; {len(held_out)} manufacturing questions could be made")

    # The same questions for both models, so that they can be compared one by one.
    same = {
        "tasks_folder": tasks,
        "limit": args.limit,
        "batch_size": args.batch_size,
        "hub_tasks": args.hub_task,
        "chat": args.chat,
    }
    base = running.run_benchmark(args.base_model, None, out=args.out / "base.json", **same)
    if args.adapter is None:
        console().print(report.results_table(comparing.score_rows(base)))
        print(f"* can't be told from chance. Scores: {args.out / 'base.json'}")
        return
    tuned = running.run_benchmark(
        args.base_model, args.adapter, out=args.out / "tuned.json", **same
    )

    command = privacy.shown_command(["python", *sys.argv])
    comparison = report.make_comparison(base, tuned, command)
    console().print(report.results_table(comparison["rows"]))
    print(f"{comparison['finding']}.   (* can't be told from chance)")
    print(f"report: {report.write_report(comparison, args.out)}")


if __name__ == "__main__":
    make_printable()
    try:
        main(parser.parse_args())
    except CourseError as error:
        sys.exit(f"Error: {error}")
