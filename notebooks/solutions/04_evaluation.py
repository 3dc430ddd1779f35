"""Solutions to notebook 04: python notebooks/solutions/04_evaluation.py runs/my-run"""

import json
import sys
from collections import Counter

from solving import main, part, questions

from course_utils import metrics, models, rivals
from course_utils.generation import generate_answers
from course_utils.lab import learning_curve
from course_utils.runs import Run

ANSWERS = {"my_gain": 'difference[main_metric]["low"]'}
SAMPLES, SEED = 1000, 42  # of the bootstrap, as in the parameters cell
FEW = 100  # records of the smaller plant


def exercise_1(run: Run) -> dict:
    """With thousands of training records often: nearly all words of the worst stand among them.

    On the `cpu` run one word of 21 in the worst five did not, and in the best five three of 29:
    dates, numbers, "twice". On a `quick` run, with 320 records, seven of 22 did not ("cleaners",
    "coming"), so there an unknown word can be the reason. Three of the worst are orders to which
    the gold labels give nothing, since no known value is named; the model took a familiar word
    ("low", "stop") for a label all the same. It has learned words, and that there is always
    something to fill in.
    """
    seen = Counter(word for record in part(run, "train") for word in _words(record["input"]))
    examples = run.read("evaluation.json")["examples"]
    return {
        kind: [
            {"F1": one["tuned_score"], "words": {word: seen[word] for word in _words(one["input"])}}
            for one in examples[kind]
        ]
        for kind in ("worst", "best")
    }


def exercise_2(run: Run) -> dict:
    """The part: F1 0.81 on the `cpu` run, where the location is easiest, with 0.97; 0.28 on a
    `quick` run, where only the action (0.91) is learned yet.

    A location is told by two letters (L/H, R/H), and has 4 values in the test part. The part has
    36, many of them carried by few training records, and an order may name two. With fewer than
    some twenty values in the test part the F1 of a field is a coarse number.
    """
    tuned, references = _tuned(run), _references(run)
    return {
        field: {
            "field F1": metrics.field_f1(
                [one_field(text, field) for text in tuned],
                [one_field(text, field) for text in references],
            ),
            "values": sum(len(_read(text).get(field, ())) for text in references),
            "different": len({v for text in references for v in _read(text).get(field, ())}),
        }
        for field in metrics.FIELDS
    }


def exercise_3(run: Run) -> dict:
    """On the `cpu` run an end moves by almost a hundredth with 100, by some thousandths with 1,000.

    The seed decides which test sets are drawn; of 100 the ends are about the 3rd smallest and the
    3rd largest, of 1,000 the 26th. More resamples make the same interval steadier, never narrower:
    its width comes from the number of test records.
    """
    return {
        samples: {seed: _ends(_interval(run, samples, seed)) for seed in (1, 2, 3, 4)}
        for samples in (100, 1000)
    }


def exercise_4(run: Run) -> dict:
    """About 1.4 times as wide: the width goes with one over the root of the number of records.

    Half the records give the root of two, about 1.4, not 2. Turned round: an interval half as wide
    costs four times as many records to read and label. (Which half it is moves the middle too.)
    """
    found = {}
    number = len(_references(run))
    for name, size in {"all": number, "half": number // 2}.items():
        low, high = _ends(_interval(run, SAMPLES, SEED, size))
        found[name] = {"records": size, "interval": (low, high), "width": high - low}
    return found


def exercise_5(run: Run) -> dict:
    """The linear model to both, as long as no curve shows where an adapter overtakes it.

    On the `cpu` run it gets 0.94 with 3,400 records, and the interval of tuned minus rival lies
    below 0: that is a reason. With 100 records it still gets 0.55, in a second. What an adapter
    gets from 100 one run cannot tell; the recorded curve can, by its spread over seeds, and so it
    alone gives the number at which you change your mind. That the curve goes on rising beyond your
    own records is a hope. So is the adapter on texts that look otherwise: see the next exercise.
    """
    train, test, references = part(run, "train"), part(run, "test"), _references(run)
    fitted = {}
    for size in (min(FEW, len(train) // 2), len(train)):
        found = rivals.answer(train[:size], test)
        fitted[size] = {
            name: metrics.field_f1_interval(one.answers, references) for name, one in found.items()
        }
    over_rival = run.read("evaluation.json")["over_rival"]["field_f1"]
    return {
        "rivals by records": fitted,
        "tuned": metrics.field_f1_interval(_tuned(run), references),
        "tuned minus best rival": over_rival,
        "recorded curve": learning_curve.sentences(learning_curve.read()),
    }


def exercise_6(run: Run) -> dict:
    """Both lose, and which loses more is a number of your run, not a law.

    The linear model sees pieces of two to four letters too, so one missing letter leaves it most of
    a word. The language model's tokens change from the missing letter on, but it may have met the
    misspelt word in its first training. One letter a text is mild: the benchmark goes up to a tenth
    of all letters.
    """
    train, test, references = part(run, "train"), part(run, "test"), _references(run)
    wrong = [misspelt(record) for record in test]
    tokenizer = models.load_tokenizer(run.settings.base_model)
    model = models.load_adapter(models.load_base(run.settings), run.folder / "adapter")
    limit, batch = run.settings.max_new_tokens, run.settings.eval_batch_size
    asked = questions(wrong, tokenizer)
    after = {"tuned": generate_answers(model, tokenizer, asked, limit, batch)}
    after |= {name: one.answers for name, one in rivals.answer(train, wrong).items()}
    before = {"tuned": _tuned(run)}
    before |= {name: one.answers for name, one in rivals.answer(train, test).items()}
    return {
        "texts": [record["input"] for record in wrong[:3]],
        "field F1": {
            name: {
                "as written": metrics.field_f1(before[name], references),
                "misspelt": metrics.field_f1(after[name], references),
            }
            for name in before
        },
    }


# --- Pieces ---------------------------------------------------------------------------------------


def one_field(text: str, field: str) -> str:
    """An answer with nothing but this field in it, as in the exercise."""
    return json.dumps({field: sorted(_read(text).get(field, []))})


def misspelt(record: dict) -> dict:
    """The record whose longest word has lost its second letter, as in the exercise."""
    word = max(record["input"].split(), key=len)
    return {**record, "input": record["input"].replace(word, word[:1] + word[2:], 1)}


def _read(text: str) -> dict:
    return metrics.parse_record(text) or {}


def _words(text: str) -> list[str]:
    return text.lower().split()


def _references(run: Run) -> list[str]:
    return [record["output"] for record in part(run, "test")]


def _tuned(run: Run) -> list[str]:
    return run.read("evaluation.json")["predictions"]


def _interval(run: Run, samples: int, seed: int, size: int | None = None) -> dict:
    """Tuned minus base, field F1, on the first `size` test records (all of them without one)."""
    baseline = run.read("baseline.json")
    base = [row[baseline["main"]] for row in baseline["predictions"]]
    sides = [
        {"predictions": answers[:size], "references": _references(run)[:size]}
        for answers in (base, _tuned(run))
    ]
    return metrics.paired_bootstrap(*sides, samples, seed)["field_f1"]


def _ends(interval: dict) -> tuple[float, float]:
    return interval["low"], interval["high"]


if __name__ == "__main__":
    main(sys.modules[__name__])
