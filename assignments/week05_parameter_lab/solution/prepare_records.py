"""The reference solution's records and questions, drawn from the kit's geology track.

python prepare_records.py
python prepare_records.py --records 40 --held_out 8      # a quick look at the whole path

A group of students writes records.jsonl by hand instead. This writes records.jsonl (to train on),
held_out.jsonl (minerals and topics that no training record is about, for the comparison with the
base model) and test_questions.jsonl (five of those, to read).
"""

import argparse
import random
from collections import defaultdict
from pathlib import Path

from course_utils import geology, scripts
from course_utils.records import write_records

QUESTIONS = 5


def read_arguments(given=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=640, help="training records")
    parser.add_argument("--held_out", type=int, default=80, help="questions for the comparison")
    parser.add_argument("--seed", type=int, default=42, help="which of them")
    return parser.parse_args(given)


def draw(records, count, seed):
    """In turn from each kind of question and each group, so that none fills the draw."""
    waiting = defaultdict(list)
    for record in random.Random(seed).sample(records, len(records)):
        waiting[geology.kind_of(record), record["group"]].append(record)
    drawn = []
    while waiting and len(drawn) < count:
        for key in sorted(waiting, key=lambda key: (key[0], len(waiting[key]))):
            drawn.append(waiting[key].pop())
            if not waiting[key]:
                del waiting[key]
    return random.Random(seed).sample(drawn, min(count, len(drawn)))


def as_question(record):
    """The record without its answer, which becomes what is expected."""
    question = {name: text for name, text in record.items() if name != "answer"}
    return question | {"expected": record["answer"]}


def choose_questions(held_out):
    """Five to read: each kind of question in turn, no mineral or topic twice."""
    chosen = []
    for i in range(QUESTIONS):
        kind = geology.KINDS[i % len(geology.KINDS)]
        used = {record["group"] for record in chosen}
        new = [record for record in held_out if record["group"] not in used]
        fitting = [record for record in new if geology.kind_of(record) == kind]
        chosen += (fitting or new)[:1]
    return chosen


def main(options):
    folder = Path(__file__).parent
    parts = geology.build_geology(options.seed).parts
    held_out = [as_question(r) for r in draw(parts["test"], options.held_out, options.seed)]
    written = {
        "records.jsonl": draw(parts["train"], options.records, options.seed),
        "held_out.jsonl": held_out,
        "test_questions.jsonl": choose_questions(held_out),
    }
    for name, part in written.items():
        print(f"{len(part):>5} {write_records(folder / name, part)}")


if __name__ == "__main__":
    with scripts.command_line():
        main(read_arguments())
