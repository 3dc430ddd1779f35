"""Answers taken from what everybody was given are noticed; answers of one's own are not."""

import json
import random
import re

import pytest
from classroom import words

from course_utils import kit
from course_utils.lab import analysis, own_words
from course_utils.lab.parameters import PARAMETERS, QUESTIONS

OTHER_WORDS = {
    "increase": "raise", "larger": "bigger", "larger,": "bigger,", "steps": "updates",
    "loss": "error", "falls": "drops", "records": "examples", "higher": "greater",
    "model": "network", "fewer": "less", "grows": "rises", "answer": "reply", "time": "duration",
    "runs": "experiments", "weight": "parameter", "beyond": "past", "simply": "just",
}  # fmt: skip
OWN = (
    "Our 24 records are short, so at rank 4 the adapter of the small model takes 0.5 MB; we saw no "
    "gain from 8 on the five folds and kept the cheaper one.",
    "With two records at once our laptop stayed below 3 GiB. Four made it swap, which the second "
    "column of our own table shows as a jump from 40 to 95 seconds.",
    "We would not touch it: both folds ended within 0.02 of each other whatever we chose between "
    "0 and 0.2, and Anna's seed alone moved the result by more.",
)


def lab_answers() -> dict[str, dict[str, str]]:
    """Parameter -> question -> the lab's model answer."""
    cells = json.loads(own_words.LAB.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    sections = [text for text in texts if re.match(r"## \d+\. ", text)]
    return {
        name: {
            key: re.search(rf"\*\*{re.escape(question)}\*\* (.+)", text)[1]
            for key, question in QUESTIONS.items()
        }
        for name, text in zip(PARAMETERS, sections, strict=True)
    }


LAB = lab_answers()
SOLUTION = {
    name: section.answers
    for name, section in analysis.read_sections(
        json.loads(own_words.SOLUTION.read_text(encoding="utf-8"))
    ).items()
}
PLACES = [(name, key) for name in PARAMETERS for key in QUESTIONS]


def lightly_reworded(text: str) -> str:
    """Other words for the most usual ones, and every second function word left out."""
    kept, common = [], 0
    for word in text.split():
        common += word.casefold() in own_words.COMMON
        if word.casefold() not in own_words.COMMON or common % 2:
            kept.append(OTHER_WORDS.get(word, word))
    return " ".join(kept)


def notebook_of(answers: dict[str, dict[str, str]]) -> dict:
    """A notebook with these answers and a figure in each section."""
    cells = []
    for name, own in answers.items():
        asked = [f"**{QUESTIONS[key]}**\n\n{text}" for key, text in own.items()]
        source = "\n\n".join([f"### {name}", *asked])
        cells.append({"cell_type": "markdown", "source": source})
        cells.append({"cell_type": "code", "source": f"analysis.draw_recorded('{name}')"})
    return {"cells": cells}


# --- Taken from elsewhere -----------------------------------------------------------------------


@pytest.mark.parametrize(("name", "key"), PLACES)
def test_each_answer_of_the_lab_is_recognised_with_its_section(name, key):
    place = own_words.source_of(LAB[name][key])
    assert place in (f"the lab, section {list(PARAMETERS).index(name) + 1}", "the lab's help")


def test_lightly_reworded_the_lab_is_recognised_in_every_section():
    for name, answers in LAB.items():
        assert any(own_words.source_of(lightly_reworded(text)) for text in answers.values()), name


def test_turning_its_sentences_round_does_not_hide_a_copy():
    for name in PARAMETERS:
        sentences = re.split(r"(?<=\.) ", LAB[name]["choice"])
        assert own_words.source_of(" ".join(reversed(sentences))), name


@pytest.mark.parametrize(("name", "key"), PLACES)
def test_each_answer_of_the_solution_is_recognised(name, key):
    assert own_words.source_of(SOLUTION[name][key])


def test_the_handout_the_examples_and_the_gallery_are_given_too():
    handout = "Some parameters change nothing in training (`logging_steps`), some only together "
    handout += "with another (`lora_alpha` and `lora_r`): say so."
    assert own_words.source_of(handout) == "the hand-out"
    example = analysis.MESSAGES.known["analysis.no_evidence"].example
    assert own_words.source_of(example) == "the examples of course explain"
    gallery = (
        "So few tokens hold the prompt and the first words of an answer: the rest is never seen"
    )
    assert own_words.source_of(gallery) == "the lab's failure gallery"


def test_a_notebook_of_the_lab_s_answers_lacks_nothing_but_own_words():
    """They are model answers: long enough, and resting on something."""
    gaps = analysis.find_gaps(notebook_of(LAB))
    assert {gap.parameter for gap in gaps} == set(PARAMETERS)
    assert {gap.said.id for gap in gaps} == {"analysis.not_own"}
    assert "“What does it control?” says in nearly the same words" in gaps[0].message
    assert gaps[0].message.endswith("the lab, section 1")


# --- One's own ----------------------------------------------------------------------------------


def test_what_says_the_same_in_other_words_is_one_s_own():
    """The reference solution was not written from the lab's text; on the same 52 questions."""
    taken = [p for p in PLACES if own_words.source_of(SOLUTION[p[0]][p[1]], solution=False)]
    assert taken == []


@pytest.mark.parametrize("text", OWN)
def test_own_observations_are_one_s_own(text):
    assert own_words.source_of(text) == ""


def test_a_sentence_that_is_quoted_does_no_harm_beside_two_of_one_s_own():
    quoted = re.split(r"(?<=\.) ", LAB["lora_dropout"]["decrease"])[-1]
    assert own_words.source_of(f"The lab says: “{quoted}” {OWN[2]}") == ""


def test_sentences_of_the_class_are_their_own():
    for seed in range(20):
        assert own_words.source_of(words.prose(random.Random(seed), 3)) == ""


# --- The solution itself ------------------------------------------------------------------------


def test_the_solution_with_its_marks_is_not_a_copy_of_itself_but_to_the_grader_it_is():
    notebook = json.loads(own_words.SOLUTION.read_text(encoding="utf-8"))
    assert analysis.find_gaps(notebook) == []
    gaps = analysis.find_gaps(notebook, believe_marks=False)
    assert {gap.parameter for gap in gaps} == set(PARAMETERS)
    assert {gap.said.id for gap in gaps} == {"analysis.not_own"}


def test_without_its_marks_the_solution_is_a_copy():
    text = own_words.SOLUTION.read_text(encoding="utf-8")
    bare = re.sub(r"<!-- ### (BEGIN|END) SOLUTION -->\\n|### (BEGIN|END) SOLUTION\\n?", "", text)
    gaps = analysis.find_gaps(json.loads(bare))
    assert {gap.parameter for gap in gaps} == set(PARAMETERS)


def test_a_students_edition_has_no_solution_and_the_rest_is_compared(monkeypatch):
    monkeypatch.setattr(own_words, "SOLUTION", kit.ROOT / "nothing.ipynb")
    own_words._solution.cache_clear()
    try:
        assert own_words.source_of(LAB["lora_r"]["what"]) == "the lab, section 6"
    finally:
        own_words._solution.cache_clear()


def test_where_the_hand_out_is_not_there_the_rest_is_compared(monkeypatch):
    monkeypatch.setattr(own_words, "HANDOUT", kit.ROOT / "nothing")
    for known in (own_words._given, own_words._weights):
        known.cache_clear()
    try:
        assert own_words.source_of(LAB["lora_r"]["what"]) == "the lab, section 6"
    finally:
        for known in (own_words._given, own_words._weights):
            known.cache_clear()
