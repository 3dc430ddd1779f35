"""Bonus QLoRA: the same training on a 4-bit base model, beside LoRA on the 16- or 32-bit one.

python bonuses/qlora.py --folder my_submission --train-records 240

Measured for both, each in its own process: peak memory, tokens/s, loss, perplexity, main scores
with intervals. Writes qlora.md, qlora.json and qlora.png.
"""

import argparse
from pathlib import Path

from course_utils.assignments import scripts
from course_utils.assignments.bonuses import common as bonus
from course_utils.tasks import MAIN_SCORE, TASKS

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("--folder", type=Path, default=Path("."), help="submission folder")
parser.add_argument("--out", type=Path, help="results (default: FOLDER/run/bonus_qlora)")
parser.add_argument("--train-records", type=int, default=240, help="of each variant")
parser.add_argument("--test-records", type=int, default=90, help="for the scores")
parser.add_argument("--seed", type=int, default=42)
parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")

if __name__ == "__main__":
    with scripts.command_line():
        options = parser.parse_args()
        out = options.out or options.folder / "run" / "bonus_qlora"
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
