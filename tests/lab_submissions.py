"""A complete submission of week 5, made without training, and what a test does to break it."""

import copy
import json
import random
import shutil

from classroom import study
from submissions import without_marks

from course_utils import kit
from course_utils.lab import analysis, parameters
from course_utils.lab import questions as lab_questions

SOLUTION = kit.ASSIGNMENTS / "week05_parameter_lab" / "solution"
STARTER = SOLUTION.with_name("starter")
SETTINGS = {"lora_r": 4, "lora_alpha": 8, "lora_dropout": 0.0, "include_mlp": False}
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MINERALS = (
    *("quartz", "calcite", "dolomite", "gypsum", "kaolinite", "illite", "muscovite", "biotite"),
    *("chlorite", "epidote", "talc", "alunite", "jarosite", "hematite", "goethite", "magnetite"),
    *("pyrite", "galena", "fluorite", "barite", "olivine", "topaz", "zircon", "beryl"),
)


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def read_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def make_lab(folder):
    """A complete submission; its adapter and its texts are made here, and nothing is trained."""
    folder.mkdir()
    records = [
        {
            "system": "You are a geologist.",
            "instruction": f"Where would a {name} be looked up?",
            "context": "",
            "answer": f"{name.capitalize()}: page {number}.",
            "source": "field book",
            "group": name,
        }
        for number, name in enumerate(MINERALS, start=1)
    ]
    write_lines(folder / "records.jsonl", records)
    save_adapter(folder / "adapter")
    settings = parameters.checked(SETTINGS)
    log = [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 2.0}, {"step": 2, "eval_loss": 0.5}]
    training = {
        "final_train_loss": 2.0,
        "eval_loss": 0.5,
        "perplexity": 2.718281828**0.5,
        "log": log,
        "parameters": settings,
        "command": parameters.to_command(settings),
        "data": {"file": "records.jsonl", "train": 22, "validation": 2},
    }
    (folder / "training.json").write_text(json.dumps(training))
    ask(folder, [f"How does {name} feel in the hand?" for name in MINERALS[:6]])
    write_notebook(folder / analysis.NOTEBOOK)
    (folder / "report.pdf").write_bytes(b"%PDF-1.7 ...")
    for script in ("train_lora.py", "inference_lora.py"):
        shutil.copy(STARTER / script, folder)
    (folder / "submission.yaml").write_text("group: Bauxite\nmembers: [Ada, Grace]\n")
    return folder


def copy_solution(folder):
    """The reference solution in a folder to be run in, as `make week05` copies it."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(SOLUTION, folder, dirs_exist_ok=True, ignore=ignored)
    shutil.copy(STARTER / "train_lora.py", folder)
    return folder


def save_adapter(target, rank=4, trained=True, layers=ATTENTION, dropout=0.0):
    """The two files of an adapter on the attention of one layer, as PEFT writes them."""
    import numpy as np
    from safetensors.numpy import save_file

    tensors = {}
    for name in (f"base_model.model.model.layers.0.self_attn.{layer}" for layer in layers):
        tensors[f"{name}.lora_A.weight"] = np.ones((rank, 8), "float32")
        tensors[f"{name}.lora_B.weight"] = np.full((8, rank), float(trained), "float32")
    target.mkdir(parents=True)
    save_file(tensors, target / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 8, "lora_dropout": dropout}
    (target / "adapter_config.json").write_text(json.dumps(config))


def ask(folder, instructions, tuned="Cold and light."):
    """The questions with answers, and answers.json as inference_lora.py writes it."""
    rows = [
        {"instruction": text, "context": "", "expected": "Cold and heavy.", "answer": ""}
        for text in instructions
    ]
    path = folder / "test_questions.jsonl"
    write_lines(path, rows)
    columns = {"nll": [1.0] * len(rows), "tokens": [4] * len(rows)}
    tuned = [tuned] * len(rows)
    questions = lab_questions.read_questions(path)
    content = lab_questions.compare(
        questions, {"answers": ["Stone."] * len(rows), **columns}, {"answers": tuned, **columns}
    )
    (folder / "answers.json").write_text(json.dumps(content))
    lab_questions.fill(path, questions, tuned)


def write_notebook(path):
    """Answers of one's own, with a picture under every code cell, as if it had been run."""
    notebook = json.loads((SOLUTION / analysis.NOTEBOOK).read_text(encoding="utf-8"))
    picture = {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo="}}
    for number, cell in enumerate(notebook["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            cell.update(outputs=[copy.deepcopy(picture)], execution_count=number)
        else:
            source = study.reworded(source, random.Random(number))
        cell["source"] = without_marks(source)
    path.write_text(json.dumps(notebook), encoding="utf-8")
