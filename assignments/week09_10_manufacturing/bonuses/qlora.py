"""Bonus QLoRA: the same training on a 4-bit base model, beside LoRA on the 16- or 32-bit one.

python bonuses/qlora.py --folder my_submission --train-records 240

Measured for both, each in its own process: peak memory, tokens/s, loss, perplexity, main scores
with intervals. Writes qlora.md, qlora.json and qlora.png.
"""

from course_utils.assignments import scripts
from course_utils.assignments.bonuses import common as bonus
from course_utils.tasks import MAIN_SCORE, TASKS

if __name__ == "__main__":
    with scripts.command_line():
        options = bonus.options(__doc__, "bonus_qlora", 240, "of each variant", "for the scores")
        out = options.out
        common = [f"train_records={options.train_records}", f"test_records={options.test_records}"]
        common += [f"seed={options.seed}", *options.set]
        lora = bonus.run_variant(options.folder, out, "lora", [*common, "quantization=none"])
        qlora = bonus.run_variant(options.folder, out, "qlora", [*common, "quantization=nf4"])

        rows = [bonus.row(lora), bonus.row(qlora)]
        differences = {
            f"{task}, QLoRA minus LoRA": bonus.difference(lora, qlora, task, options.seed)[
                MAIN_SCORE[task]
            ]
            for task in TASKS
            if task in lora.evaluation["tasks"]
        }
        first, second = rows
        finding = (
            f"4-bit weights took {second['weights_gb']:.2f} instead of {first['weights_gb']:.2f} "
            f"GiB; the peak of the process was {second['memory_gb']:.2f} instead of "
            f"{first['memory_gb']:.2f} GiB. Training ran at "
            f"{second['tokens_per_second'] / first['tokens_per_second']:.2f} times the speed; "
            f"validation perplexity {second['perplexity']:.3f} instead of "
            f"{first['perplexity']:.3f}."
        )
        print(finding)
        page = bonus.write_bonus(
            out, "qlora", "LoRA beside QLoRA", rows, differences, finding, options.seed
        )
        print(f"Results: {page}")
