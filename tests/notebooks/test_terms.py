"""A term is explained where a student first meets it, in one clause."""

import re
from collections.abc import Sequence
from pathlib import Path

import nbformat
import pytest

from course_utils import kit

COURSE = sorted(kit.NOTEBOOKS.glob("0*.ipynb"))
LAB = [kit.NOTEBOOKS / "parameter_lab.ipynb"]
IN_THE_COURSE = {
    "SFT": "supervised fine-tuning",
    "EOS": "end-of-answer token",
    "nf4": "4-bit",
    "nats": "natural logarithm",
    "adapter": "added weights",
    "LoRA": "low-rank adaptation",
    "PEFT": "parameter-efficient fine-tuning",
    "QLoRA": "in 4 bits",
    "Adam": "two running means",
    "logits?": "scores of all possible next tokens",
    "preset": "set of sizes for one kind of machine",
    "tokenizer": "words or pieces of words",
    "loss": "how much the right token surprised the model",
    "validation": "is looked at while it learns",
    "bf16": "16-bit",
    "activations": "what every layer has computed",
    "Hub": "Hugging Face's server for models",
    "TF-IDF": "rare ones weighing more",
    "padded": "tokens that mean nothing",
    "overfitting": "learning records by heart",
    "gradient": "how the loss would change",
    "epochs": "passes over all records",
    "safetensors": "a file of bare numbers",
    "n-grams": "runs of one to four words",
    "JSON schema": "says what a valid record looks like",
}
IN_THE_LAB = {
    "LoRA": "low-rank adaptation",
    "SFT": "supervised fine-tuning",
    "adapter": "two thin matrices beside each adapted layer",
    "PEFT": "parameter-efficient fine-tuning",
    "AdamW": "the rule that turns gradients into steps",
    "nats": "the natural logarithm",
    "logits": "a score for each word",
    "rsLoRA": "rank-stabilised LoRA",
    "SGD": "plain gradient descent",
    "compute capability": "a GPU's generation",
}


def first_with(term: str, paths: Sequence[Path]) -> str:
    """The first text that a student reads with this word, in the order of the notebooks."""
    cells = (cell for path in paths for cell in nbformat.read(path, as_version=4).cells)
    said = (cell.source for cell in cells if cell.cell_type == "markdown")
    return next(text for text in said if re.search(rf"\b{term}\b", text))


@pytest.mark.parametrize(("term", "clause"), IN_THE_COURSE.items())
def test_a_term_is_explained_where_it_first_stands_in_the_course(term, clause):
    assert clause in first_with(term, COURSE)


@pytest.mark.parametrize(("term", "clause"), IN_THE_LAB.items())
def test_a_term_is_explained_where_it_first_stands_in_the_lab(term, clause):
    assert clause in first_with(term, LAB)
