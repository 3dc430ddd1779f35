"""Bonus multi-task: one adapter for three tasks, beside three adapters for one task each.

python bonuses/multi_task.py --folder my_submission --train-records 480

Task-balanced sampling: each task gives the same number of records. The three single adapters see
exactly the records of their task that the one adapter sees, and are asked the same test records.
Writes multi_task.md, multi_task.json and multi_task.png.
"""

from course_utils.assignments import scripts
from course_utils.assignments.bonuses import common as bonus
from course_utils.tasks import MAIN_SCORE, TASKS

if __name__ == "__main__":
    with scripts.command_line():
        options = bonus.options(
            __doc__, "bonus_multi_task", 480, "of the one adapter, in all", "of all tasks together"
        )
        out = options.out

        def common(train, test):
            """The shared settings of a variant with so many training and test records."""
            counts = [f"train_records={train}", f"test_records={test}"]
            return [*counts, f"seed={options.seed}", *options.set]

        every = common(options.train_records, options.test_records)
        one = bonus.run_variant(options.folder, out, "one adapter", every)
        share = options.train_records // len(TASKS)
        asked = {task: result["records"] for task, result in one.evaluation["tasks"].items()}
        singles = {
            task: bonus.run_variant(
                options.folder,
                out,
                f"only {task}",
                [*common(share, asked[task]), f"tasks=[{task}]"],
            )
            for task in TASKS
        }

        rows = [bonus.row(one), *(bonus.row(variant) for variant in singles.values())]
        differences = {
            f"{task}, one adapter minus its own": bonus.difference(
                variant, one, task, options.seed
            )[MAIN_SCORE[task]]
            for task, variant in singles.items()
        }
        verdicts = []
        for task, interval in zip(TASKS, differences.values(), strict=True):
            if interval is None:
                verdicts.append(f"{task}: not measured, its records name no facts")
                continue
            decided = interval["low"] > 0 or interval["high"] < 0
            side = "better" if interval["mean"] > 0 else "worse"
            verdict = f"the one adapter is {side}" if decided else "no difference shown"
            verdicts.append(f"{task}: {verdict}")
        sizes = [row["trainable_parameters"] for row in rows]
        finding = (
            f"{'; '.join(verdicts)}. One adapter holds {sizes[0]:,} parameters, three hold "
            f"{sum(sizes[1:]):,}. Perplexities are each on the validation records of the adapter's "
            "own tasks, so they cannot be compared with each other."
        )
        print(finding)
        page = bonus.write_bonus(
            out, "multi_task", "One adapter beside three", rows, differences, finding, options.seed
        )
        print(f"Results: {page}")
