"""Solutions to notebook 01: python notebooks/solutions/01_data_prep.py runs/my-run"""

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

from solving import main, part

from course_utils import chat, checks, gold, models, records, sources
from course_utils.commands.gold import labels_against_gold
from course_utils.runs import Run

ANSWERS = {
    "my_labels": "[-100] * start + ids[start:]",
    "my_max_length": "lengths[round(0.99 * (len(lengths) - 1))]",
}


def exercise_1(run: Run) -> dict:
    """Fewer groups, of texts that nobody would call alike, and a third of the records is gone.

    A group is a chain: A is like B and B like C, so all three are one group, however far A is from
    C. At 0.5 the chains grow together: replacing seals and replacing door handles end in one. A
    chain that holds a gold order falls out whole, as near copies of the test part, and that is the
    line that grew. A threshold is a price, not a truth: too high leaks, too low throws away.
    """
    table = sources.load_work_orders()
    found = {}
    for threshold in (0.7, 0.5):
        cleaned = sources.clean_work_orders(table, threshold)
        group, size = Counter(cleaned.groups).most_common(1)[0]
        pairs = zip(cleaned.records, cleaned.groups, strict=True)
        texts = [record["input"] for record, own in pairs if own == group]
        found[threshold] = {
            "records": len(cleaned.records),
            "groups": len(set(cleaned.groups)),
            "largest": size,
            "near gold": cleaned.dropped["near duplicate of a gold order"],
            "texts": texts[:5],
        }
    return found


def exercise_2(run: Run) -> dict:
    """About one order in twenty has a label wrong or missing: two or three among fifty.

    `course data gold` measures it on 440 orders that were read twice: the line *silver: trained on*
    says how far labels like those of the training part agree with the gold ones. A model that
    repeats the rules without a mistake gets that F1 on such orders and no more, however long it
    trains. Orders of which the rules know nothing are not among them (*our rules, all orders*).
    """
    train = part(run, "train")[:50]
    silver = labels_against_gold(gold.read_gold())["silver: trained on"]
    return {
        "fifty": [f"{record['input']} -> {record['output']}" for record in train],
        "best F1": silver["f1"]["all"],
        "whole records right": silver["exact"],
    }


def exercise_3(run: Run) -> dict:
    """The check of section 6 objects: more than 5 % of the records are cut.

    What goes is the end: the last fields of the JSON record, its closing brace, and the
    end-of-answer token. So the model would learn on these records that an answer may break off, and
    that nothing stops it. The check of the labels in section 5 says the same of one such record.
    """
    tokenizer = models.load_tokenizer(run.settings.base_model)
    cleaned = sources.clean_work_orders(sources.load_work_orders())
    counted = [(chat.count_tokens(record, tokenizer), record) for record in cleaned.records]
    counted.sort(key=lambda pair: pair[0])
    lengths, in_order = zip(*counted, strict=True)
    limit = lengths[int(0.9 * len(lengths))]
    cut = chat.tokenize_record(in_order[-1], tokenizer).cut(limit)
    eos = tokenizer.eos_token_id
    return {
        "max_length": limit,
        "cut": sum(length > limit for length in lengths) / len(lengths),
        "accepted": bool(checks.max_length_choice(lengths, limit)),
        "labels accepted": bool(
            checks.completion_mask(cut.labels, cut.input_ids, cut.prompt_length, eos)
        ),
        "what is left": tokenizer.decode(cut.input_ids[cut.prompt_length :]),
    }


def exercise_4(run: Run) -> dict:
    """Ten good records pass; two that ask the same get a warning or an error with both lines.

    The same question with two answers is worse than one record less: the model is told that both
    are right. A file with the geology fields is meant for week 5, which asks for twenty.
    """
    good = [_brewing(number) for number in range(10)]
    geology = [
        {"system": "Brewer.", "instruction": r["input"], "context": "", "answer": r["output"]}
        for r in good
    ]
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "my.jsonl"
        return {
            "ten records": _found(path, good),
            "asked twice": _found(path, [*good[:9], {**good[8], "output": "{}"}]),
            "geology fields": _found(path, geology),
            "with --min-records 10": _found(path, geology, 10),
        }


def _brewing(number: int) -> dict:
    piece = ("pump", "valve", "kettle", "hose", "filter")[number % 5]
    labels = {"part": piece, "fault": ("leaks", "blocked")[number // 5]}
    return {
        "instruction": "Turn the brewer's note into JSON.",
        "input": f"{labels['part']} of tank {number + 1} {labels['fault']}",
        "output": json.dumps(labels),
    }


def _found(path: Path, rows: list[dict], least: int | None = None) -> list[str]:
    """What `course data check` says of a file with these records."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    report = records.require_number(records.check_file(path), least)
    count = len(report.records)
    return [f"{count} records", *[f"line {p.line}: {p.message}" for p in report.problems]]


if __name__ == "__main__":
    main(sys.modules[__name__])
