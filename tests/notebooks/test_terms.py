"""A term is explained where a student first meets it, in one clause."""

import re
from functools import cache

import nbformat
import pytest

from course_utils import kit

IN_ORDER = sorted(kit.NOTEBOOKS.glob("0*.ipynb"))
TERMS = {
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
}


@cache
def texts() -> list[tuple[str, str]]:
    """(notebook, text) of every cell that a student reads, in the order of the course."""
    return [
        (path.stem, cell.source)
        for path in IN_ORDER
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "markdown"
    ]


@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_explained_where_it_first_stands(term):
    first = next(text for _, text in texts() if re.search(rf"\b{term}\b", text))
    assert TERMS[term] in first
