"""Solutions to notebook 02: python notebooks/solutions/02_baseline.py runs/my-run"""

import math
import random
import sys

from solving import again, main, part

from course_utils import chat, hardware, metrics, models
from course_utils.generation import question_cost
from course_utils.runs import Run

ANSWERS = {"my_perplexity": "math.exp(sum(zero_nll) / sum(counts))"}
SPARE = 2  # GiB for activations and the rest, beside the weights


def exercise_1(run: Run) -> dict:
    """It talks: it repeats the order as a sentence, explains it, or writes code.

    A few answers are JSON, with fields that the model made up, so the field F1 is 0 all the same.
    It was never told which fields there are; the instruction alone, written for a tuned model, does
    not say it.
    """
    answers = [row["zero_shot"] for row in run.read("baseline.json")["predictions"]]
    return {
        "ten answers": answers[:10],
        "records among all": sum(metrics.parse_record(text) is not None for text in answers),
        "answers": len(answers),
    }


def exercise_2(run: Run) -> dict:
    """The prompt nearly doubles, and with it the price where tokens are billed.

    What the scores gain for it stands beside. From 4 to 8 examples it was much on a `quick` run
    (field F1 0.03 to 0.19, for 291 tokens a question in place of 141), and no whole record was
    right; the cheap methods of section 8 ask for none of these tokens. Seconds say less than
    tokens. A zero-shot answer runs on to `max_new_tokens`, one that has seen the format ends
    early, and the kit reads the examples once for all questions.
    """
    before = run.read("baseline.json")
    count = run.settings.few_shot_examples
    with again(run, "02", few_shot_examples=2 * count) as copy:
        after = copy.read("baseline.json")
    zero_shot = _cost(run, 0, [row["zero_shot"] for row in before["predictions"]])
    return {
        "tokens, zero-shot": zero_shot,
        f"tokens, {count} examples": _cost(run, count, _few(before)),
        f"tokens, {2 * count} examples": _cost(run, 2 * count, _few(after)),
        f"scores, {count} examples": before["few_shot"],
        f"scores, {2 * count} examples": after["few_shot"],
    }


def _few(baseline: dict) -> list[str]:
    return [row["few_shot"] for row in baseline["predictions"]]


def _cost(run: Run, count: int, answers: list[str]) -> dict[str, int]:
    """Tokens a question with so many examples, drawn as the notebook draws them."""
    tokenizer = models.load_tokenizer(run.settings.base_model)
    examples = random.Random(run.settings.seed).sample(part(run, "train"), count)
    prompts = [chat.few_shot_messages(record, examples, tokenizer) for record in part(run, "test")]
    return question_cost(prompts, answers, tokenizer)


def exercise_3(run: Run) -> dict:
    """Perplexity forgives a token, exact match forgives none.

    For the perplexity each token is guessed with all the right ones before it given, and most of
    them are the frame: braces, quotes, names of fields. The examples give the frame away, so the
    mean falls. Exact match asks for all of them at once, written by the model itself: with a chance
    of p for each of n tokens that is about p to the power of n, which stays near 0 until p is near
    1.
    """
    baseline = run.read("baseline.json")
    tokens = [row["tokens_few_shot"] for row in baseline["predictions"]]
    chance = 1 / baseline["few_shot"]["perplexity"]
    mean = sum(tokens) / len(tokens)
    return {
        "perplexity": {name: baseline[name]["perplexity"] for name in ("zero_shot", "few_shot")},
        "exact match": {name: baseline[name]["exact_match"] for name in ("zero_shot", "few_shot")},
        "chance of a token": chance,
        "of a record": math.pow(chance, mean),
    }


def exercise_4(run: Run) -> dict:
    """The largest whose weights fit, with room for activations, and whose licence you can keep.

    For example: "Qwen2.5-1.5B-Instruct in nf4: its 4-bit weights leave most of a T4 free for
    activations, it has a chat template, and Apache-2.0 lets a company use it. On a CPU the embedded
    135M model: it fits any memory and needs no network." Prefer one with a chat template.
    """
    machine = hardware.detect()
    room = (machine.gpu_memory_gb or machine.ram_gb) - SPARE
    known = [model for model in models.registry().values() if model.chat_template]
    known = [model for model in known if model.name != "nano"]  # random weights, for tests
    return {
        "room, GiB": room,
        "16-bit": [model.name for model in known if model.memory_gib() < room],
        "nf4": [model.name for model in known if model.memory_gib("nf4") < room],
        "no licence to accept": [model.name for model in known if not model.gated],
    }


if __name__ == "__main__":
    main(sys.modules[__name__])
