"""Solutions to the parameter lab: python notebooks/solutions/parameter_lab.py [NUMBER ...]

ANSWERS holds what a student writes in place of `None`; `exercise_N()` does exercise N and returns
what it found, and its docstring is the answer in words. Nothing that recorded runs show is written
down here: it is read from data/sweeps/ each time. The fifth trains, and takes minutes on a CPU.
"""

import re
import shlex
import sys
import tempfile
from itertools import combinations
from pathlib import Path

from solving import carry_out, main

from course_utils.files import read_json
from course_utils.lab import arithmetic, explore, findings, own_words, parameters, sweeps

ANSWERS = {
    "my_batch": "in_memory * accumulation",
    "my_max_length": "sorted(lengths)[int(0.99 * len(lengths))]",
    "my_count": "rank * (inputs + outputs)",
}


def exercise_1() -> dict:
    """Alpha 16 on rank 8 and alpha 64 on rank 32 both have the scale 2, the second with four times
    the parameters. Neither recorded figure alone tells which is better: along the axis of section 6
    alpha stays, so the scale falls while the adapter grows; along that of section 7 only the scale
    moves. But both were recorded around one centre. A value of each with the same scale may be
    compared, and a difference counts if it is larger than the spread over the seeds.
    """
    found = {}
    for name in ("lora_r", "lora_alpha"):
        for run in findings.levels(sweeps.read_sweep(name)):
            own = sweeps.read_sweep(name).of_value(run.value)[0]["settings"]
            found[own["lora_r"], own["lora_alpha"]] = run
    pairs = {
        f"r {small} alpha {one} against r {large} alpha {other}": (
            round(found[small, one].mean, 3),
            round(found[large, other].mean, 3),
            round(findings.noise([found[small, one], found[large, other]]), 3),
        )
        for (small, one), (large, other) in combinations(sorted(found), 2)
        if small != large and arithmetic.scale(one, small) == arithmetic.scale(other, large)
    }
    return {"same scale, losses and spread over seeds": pairs}


def exercise_2() -> dict:
    """Batch 2 and accumulation 2 are 4 records a step; 120 records are 30 steps an epoch, so two
    epochs are enough. A T4 has no bf16, so fp16. Other products do as well: what counts is 120 x
    epochs / (batch x accumulation), each epoch rounded up to whole steps.
    """
    lab = explore.Lab(static=True)
    lab.set(records=120, device="T4", precision="fp16", num_train_epochs=2)
    lab.set(per_device_train_batch_size=2, gradient_accumulation_steps=2)
    plan = arithmetic.steps(120, 2, 2, 2)
    return {"command": lab.command(), "steps": plan.total, "warnings": lab.warnings()}


def exercise_3() -> dict:
    """First the epochs, fewer of them or early stopping: the later passes are what the validation
    loss suffers from. Then a smaller adapter or some dropout, if the epochs are needed. Last of all
    logging_steps, which the model does not notice. Whether a recorded figure supports the first is
    what the sentence below section 2's figures says; where no loss has turned, none does.
    """
    told = findings.finding("num_train_epochs")
    still = [name for name, known in parameters.PARAMETERS.items() if not known.trains]
    return {"recorded": told, "changes nothing in training": still}


def exercise_4() -> dict:
    """ "One study of fine-tuning saw no harm from 0": the study is Pareja and others, 2024. Its
    abstract says that certain simplifications of warm-up steps and schedules do not compromise
    performance, for full fine-tuning of models of 3 to 7 billion parameters. So it says so, but not
    of LoRA, and the lab's sentence is more general than its source.
    """
    text = own_words.LAB.read_text(encoding="utf-8")
    sources = text[text.index("## Sources") :]
    addresses = set(re.findall(r"<(https://[^>]+)>", sources))
    return {"marked second-hand": text.count("second-hand"), "addresses": sorted(addresses)}


def exercise_5(base_model: str = "", runs: int = 4) -> dict:
    """Two seeds show how far chance alone moves the validation loss; a difference between the two
    values that is not clearly larger is none. With some hundred records and few steps that is the
    usual outcome, and it is an answer: the choice may follow cost instead.
    """
    more = ["--base_model", base_model] if base_model else []
    with tempfile.TemporaryDirectory(prefix="solution-") as place:
        for words in commands(own_words.LAB.read_text(encoding="utf-8"))[: 2 + runs]:
            command = [sys.executable, *words[1:], *more]
            if words[0] == "course":
                command = [sys.executable, "-m", "course_utils", *words[1:]]
            carry_out(command, Path(place))
        found = sorted(Path(place).glob("my_lab/r*_*/training.json"))
        return {path.parent.name: read_json(path)["eval_loss"] for path in found}


def commands(notebook: str) -> list[list[str]]:
    """The lines of the exercise's own block of commands, as words."""
    block = notebook[notebook.index("```bash") :].split("```")[1]
    lines = re.findall(r'"((?:course|python) [^"]*?)\\n"', block)
    return [shlex.split(line, comments=True) for line in lines]


if __name__ == "__main__":
    main(sys.modules[__name__], of_a_run=False)
