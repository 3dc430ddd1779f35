"""Solutions to notebook 03: python notebooks/solutions/03_lora_sft.py runs/my-run

Each exercise trains again, in a copy of the run, as long as notebook 03 takes; the second twice.
"""

import sys

from solving import again, main

from course_utils.runs import Run

ANSWERS = {
    "my_count": "settings.lora_r * (hidden + intermediate)",
    "my_batch": "in_memory * accumulation",
}


def exercise_1(run: Run) -> dict:
    """Well under half of the parameters are left, and the evaluation loss ends higher.

    The MLP's three matrices are the larger part of a layer. What the model knows of words stands
    there, and that is what it has to learn here.
    """
    with again(run, "03", include_mlp=False) as copy:
        return {"all linear": _facts(run), "attention": _facts(copy)}


def exercise_2(run: Run) -> dict:
    """The gradient norm tells first, then the training loss, and last the evaluation loss.

    Ten times higher: the steps throw the weights too far. The gradient norm jumps within a few
    steps, the training loss follows, and the evaluation, which comes seldom, tells last. A tenth:
    nothing looks wrong, the losses only fall slowly and end high. Compare whole runs: a short one
    favours the high rate, which gets far quickly.
    """
    rate = run.settings.learning_rate
    with again(run, "03", learning_rate=10 * rate) as copy:
        high = _facts(copy)
    with again(run, "03", learning_rate=rate / 10) as copy:
        low = _facts(copy)
    return {"yours": _facts(run), "ten times": high, "a tenth": low}


def exercise_3(run: Run) -> dict:
    """The weights shrink (a small model's to about 41 %), the peak hardly, and a step takes longer.

    While a small model trains, its activations fill most of the memory, and they stay as large. The
    4-bit weights are turned into 16-bit ones for every multiplication, which costs time, on a CPU
    above all. The loss stays close by. With 7B parameters the weights are most of the memory,
    and nf4 decides whether it fits at all.
    """
    other = "none" if run.settings.quantization == "nf4" else "nf4"
    with again(run, "03", quantization=other) as copy:
        return {run.settings.quantization: _facts(run), other: _facts(copy)}


def exercise_4(run: Run) -> dict:
    """The learning rate depends on the step and the number of steps alone, and both stay.

    Records a step = batch x accumulation, which did not change, so neither did the number of steps.
    But notebook 03 puts records of like length into one batch, so with another batch size other
    records meet in a step: as many, not the same. Half the batch needs less memory for activations,
    and takes longer, since smaller batches use the machine less well.
    """
    settings = run.settings
    batch, accumulation = settings.per_device_train_batch_size, settings.gradient_accumulation_steps
    changes = {
        "per_device_train_batch_size": batch // 2,
        "gradient_accumulation_steps": 2 * accumulation,
    }
    with again(run, "03", **changes) as copy:
        return {f"{batch} x {accumulation}": _facts(run), str(changes): _facts(copy)}


def _facts(run: Run) -> dict:
    """What the exercises compare: sizes, memory in GiB, seconds, losses, and the curves."""
    training = run.read("training.json")
    log = [entry for entry in training["log"] if "loss" in entry]
    return {
        "parameters": training["trainable_parameters"],
        "eval_loss": training["eval_loss"],
        "weights": training["weights_gb"],
        "peak": training["peak_memory_gb"],
        "seconds a step": training["seconds"] / training["steps"],
        "learning rates": [entry["learning_rate"] for entry in log],
        "losses": [entry["loss"] for entry in log],
        "gradient norms": [entry["grad_norm"] for entry in log],
    }


if __name__ == "__main__":
    main(sys.modules[__name__])
