"""A complete submission of weeks 9-10, made without training, and what a test does to break it."""

import json
import random
import re

from course_utils import kit
from course_utils.assignments.week09_10 import check_submission

MINIMUM = 60
SCRIPTS = kit.ASSIGNMENTS / "week09_10_manufacturing/solution/scripts"
CONFIG = """\
base_model: nano
r: 4
lora_alpha: 8
target_modules: [q_proj, v_proj]
lora_dropout: 0.05
"""
README = """\
# Fine-tuning a small model for a maintenance workshop

This folder holds an adapter that reads work orders, writes short maintenance reports and answers
questions about machine manuals. The data were built with the course kit, cleaned, and split so
that records of one fault stay together. Training took place on two processor cores without a
graphics card; the log says how long it took and how much memory it needed.

To run it again, install the requirements, then call the three scripts in their order: first the
data, then the training, then the evaluation. Every report is written by these scripts.

The tuned model answers in the wanted format, which the base model seldom does. It must not be
used to decide on safety: a person checks each limit against the manual before work begins.

```
python scripts/prepare_data.py
```

## How to ask it

```python
from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:8000/v1", api_key="none needed")
reply = client.chat.completions.create(
    model="tuned", messages=[{"role": "user", "content": "PUMP LEAKS"}], max_tokens=16
)
print(repr(reply.choices[0].message.content))
```
"""


def save_adapter(target, base, rank=4, trained=True):
    import torch
    from peft import LoraConfig, get_peft_model

    from course_utils import models

    torch.manual_seed(7)
    lora = LoraConfig(r=rank, lora_alpha=8, lora_dropout=0.05, target_modules=["q_proj", "v_proj"])
    model = get_peft_model(models.load_model("nano", "fp32"), lora)
    for name, weight in model.named_parameters():
        if trained and "lora_B" in name:
            torch.nn.init.normal_(weight)
    model.save_pretrained(target)
    # Made on the smallest model, and called what a student would train on.
    edit_json(target / "adapter_config.json", lambda c: c.update(base_model_name_or_path="smollm2"))


def without_marks(text):
    """A file of the reference solution as a student's own would be: no marks of a solution."""
    return re.sub(r".*(BEGIN|END) SOLUTION.*\n?", "", text)


def training():
    log = [{"step": s, "epoch": s / 4, "loss": 3 - s / 2, "eval_loss": 2.0} for s in (1, 2, 4)]
    return {
        "train_loss": 2.0,
        "final_train_loss": 1.5,
        "eval_loss": 0.5,
        "perplexity": 2.718281828**0.5,
        "steps": 4,
        "planned_steps": 4,
        "tokens": 900,
        "seconds": 3.0,
        "tokens_per_second": 300.0,
        "stopped_early": False,
        "peak_memory_gb": 0.5,
        "trainable_parameters": 1000,
        "total_parameters": 100000,
        "log": log,
    }


def evaluate(workspace, test):
    """Answers of three systems and the cheap rivals, scored and written by the kit's functions."""
    from course_utils import evaluation, rival_scores
    from course_utils.assignments import writeup
    from course_utils.records import read_records

    test = evaluation.draw(test, 18, 7, ("understanding", "report", "qa"))
    words = [record["output"].split() for record in test]
    systems = {
        "zero_shot": [" ".join(own[:2]) for own in words],
        "few_shot": [" ".join(own[: len(own) // 2]) for own in words],
        "tuned": [record["output"] for record in test],
    }
    columns = {
        name: {"answers": answers, "nll": [len(a) + 1.0 for a in answers], "tokens": [9] * 18}
        for name, answers in systems.items()
    }
    baseline = {
        name: {**columns[name], "scores": evaluation.score(test, columns[name])}
        for name in ("zero_shot", "few_shot")
    }
    cheap = rival_scores.measure(read_records(workspace.data("train"), "manufacturing"), test)
    writeup.write_baseline(workspace, test, baseline, cheap)
    forgetting = {"base": 30.0, "tuned": 33.0, "words": 100}
    writeup.write_evaluation(workspace, test, baseline, columns["tuned"], forgetting, cheap)


def deploy(workspace):
    """Requests before and after, and answers to the solution's own samples."""
    from course_utils.assignments import deployment
    from course_utils.latency import Timed

    samples = (SCRIPTS.parent / deployment.SAMPLES).read_text(encoding="utf-8")
    (workspace.folder / deployment.SAMPLES).write_text(without_marks(samples), encoding="utf-8")
    outputs = [sample["output"] for sample in deployment.read_samples(workspace.folder)]
    before = [Timed(0.4, 1.0 + i / 10, 16, "") for i in range(9)]
    after = [Timed(0.1, 0.2 + i / 50, 16, "") for i in range(9)]
    answers = {"base": ["no"] * len(outputs), "tuned": outputs}
    facts = {"engine": "llamacpp", "memory in MB": 410.0, "seconds to load": 2.0}
    deployment.write(workspace, before, after, (after[:8], 0.9), answers, facts)


def write_notebook(path):
    import nbformat
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

    printed = new_output("stream", text="12 records\n")
    cells = [
        new_markdown_cell("# Pipeline\nWhat the data look like."),
        new_code_cell("print(len(records), 'records')", outputs=[printed], execution_count=1),
    ]
    nbformat.write(new_notebook(cells=cells), path)


def check(folder, minimum=MINIMUM):
    return check_submission(folder, minimum)


def only(folder, state="wrong", minimum=MINIMUM):
    """The one finding in this state; nothing else may be missing or wrong."""
    report = check(folder, minimum)
    bad = report.of_state("missing", "wrong", *([state] if state == "warning" else []))
    assert [finding.state for finding in bad] == [state], report.lines()
    assert bad[0].cure
    assert report.ok is (state == "warning")
    return bad[0]


def edit_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def small_track():
    """A small track from the manuals: all three tasks, whole groups in one part."""
    from course_utils.tracks.manufacturing import manuals
    from course_utils.tracks.manufacturing import track as tracks

    drafts = manuals.manual_drafts(7)
    random.Random(7).shuffle(drafts)
    return tracks.assemble(drafts[:900], 7)


def make_submission(folder, track, adapter=lambda target: save_adapter(target, "nano")):
    """A complete submission: data, adapter, evidence and reports as the scripts write them."""
    from course_utils import records
    from course_utils.assignments import scripts, writeup
    from course_utils.tracks.parts import handed_out

    for name in ("data", "scripts", "configs", "reports"):
        (folder / name).mkdir(parents=True)
    (folder / "configs" / "lora_config.yaml").write_text(CONFIG)
    (folder / "README.md").write_text(README)
    (folder / "submission.yaml").write_text("members: [Ada]\n")
    (folder / "requirements.txt").write_text("peft==0.21.2\ntrl==1.16.0  # training\n")
    for script in SCRIPTS.glob("*.py"):
        (folder / "scripts" / script.name).write_text(without_marks(script.read_text()))
    parser = scripts.arguments("", folder)
    workspace = scripts.open_workspace(parser, [])
    parts = handed_out(track.parts)
    for name, part in parts.items():
        records.write_records(workspace.data(name), part)
    counts = {name: len(part) for name, part in parts.items()}
    workspace.run.write("data_summary.json", {"parts": counts, "drafts": track.drafts})
    adapter(workspace.adapter)
    workspace.run.write("training.json", training())
    writeup.write_training_log(workspace)
    evaluate(workspace, track.parts["test"])
    deploy(workspace)
    write_notebook(folder / "finetuning_pipeline.ipynb")
    return folder
