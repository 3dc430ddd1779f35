"""Nothing that can fail stands between training and saving: the order of notebook 03."""

import json
from pathlib import Path

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "03_lora_sft.ipynb"


def code_cells():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def position(text):
    (found,) = [i for i, source in enumerate(code_cells()) if text in source]
    return found


def test_the_cell_after_the_training_saves_the_adapter():
    assert position(".save_pretrained(") == position("trainer.train(resume_from_checkpoint") + 1


def test_training_json_is_written_before_it_is_shown_and_then_the_checkpoints_are_let_go():
    source = "\n".join(code_cells())
    order = ["summarise_training(", 'run.write("training.json"', "mark_finished(", 'print(f"final']
    assert [source.index(text) for text in order] == sorted(map(source.index, order))
