"""Part 5 of weeks 9-10: new samples, the endpoint's evidence, its page, the README's example."""

import pytest
from submissions import README, edit_json, only, replace

from course_utils import kit
from course_utils.assignments import deployment
from course_utils.errors import CourseError

SOLUTION = kit.ASSIGNMENTS / "week09_10_manufacturing" / "solution"
SAMPLE = """\
  - task: qa
    form: number and unit only
    instruction: "State the oil volume. Answer with the number and its unit only."
    input: "Gearbox B12, oil volume 4.5 l."
    output: "4.5 l"
    facts: "answer=4.5 l"
"""


def samples(*texts):
    return deployment.parse_samples("samples:\n" + "".join(texts))


def refused(text):
    with pytest.raises(CourseError) as caught:
        deployment.parse_samples(text)
    assert caught.value.cure
    return caught.value.message


# --- New samples --------------------------------------------------------------------------------


def test_the_solutions_samples_are_two_of_each_task():
    found = deployment.read_samples(SOLUTION)
    assert deployment.short_of_samples(found) == []


def test_the_example_in_the_starters_file_is_a_sample():
    text = (SOLUTION / deployment.SAMPLES).read_text(encoding="utf-8")
    shown = [line[2:] for line in text.splitlines() if line.startswith("#   ")]
    assert samples("\n".join(shown) + "\n")[0]["output"] == "4.5 l"


def test_a_sample_without_facts_cannot_be_scored():
    assert "needs `facts`" in refused("samples:\n" + SAMPLE.replace("    facts: ", "    source: "))


def test_an_answer_that_its_own_facts_contradict_is_named():
    text = "samples:\n" + SAMPLE + SAMPLE.replace("answer=4.5 l", "answer=5.4 l")
    assert "sample 2: your own `output` scores 0.00" in refused(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "samples: 3",
        "samples: []",
        "samples: [1]",
        "samples: [",
        "a: b: c",
        "samples:\n- {}",
    ],
)
def test_what_is_no_list_of_samples_is_refused(text):
    assert "new_samples.yaml" in refused(text)


def test_aliases_are_refused_before_anything_is_built():
    assert "aliases" in refused("a: &a [x, x]\nb: &b [*a, *a]\nsamples: [*b]")


def test_tasks_with_fewer_than_two_samples_are_named():
    assert deployment.short_of_samples(samples(SAMPLE, SAMPLE)) == ["understanding", "report"]


def test_a_sample_that_stands_in_the_data_is_found_whatever_its_spaces_and_case():
    own = samples(SAMPLE)
    known = {"instruction": own[0]["instruction"].upper(), "input": f" {own[0]['input']}  "}
    assert deployment.not_new(own, [known]) == [1]
    assert deployment.not_new(own, [{**known, "input": "another"}]) == []


# --- The example in the README ------------------------------------------------------------------


def test_the_example_is_the_sections_first_python_block():
    assert deployment.api_example(README).startswith("from openai import OpenAI")


def test_the_solutions_example_is_found():
    text = (SOLUTION / "README.md").read_text(encoding="utf-8")
    assert 'model="tuned"' in deployment.api_example(text)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("## How to ask it", "## Usage", "no section"),
        ("```python", "```text", "no example in Python"),
        ('"tuned"', '"base"', "does not ask the model `tuned`"),
        ("client = ", "client == = ", "no Python"),
    ],
)
def test_a_readme_without_a_usable_example_is_told_what_is_missing(old, new, problem):
    with pytest.raises(CourseError, match=problem):
        deployment.api_example(README.replace(old, new))


def test_an_example_of_another_section_does_not_count():
    text = README.replace("## How to ask it\n", "## How to ask it\n\nSee below.\n\n## Else\n")
    with pytest.raises(CourseError, match="no example in Python"):
        deployment.api_example(text)


def test_a_comment_in_the_example_ends_no_section():
    text = README.replace("from openai", "# ask the server that serve.py started\nfrom openai")
    assert deployment.api_example(text).startswith("# ask the server")
    shell = "## How to ask it\n\n~~~bash\n# first\n```\npython scripts/serve.py\n~~~\n"
    text = README.replace("## How to ask it\n", shell)
    assert "openai" in deployment.api_example(text)


def test_a_heading_that_a_block_shows_begins_no_section():
    shown = "```markdown\n## How to ask it\n```\n\n```python\nprint('tuned')\n```\n\n"
    assert "openai" in deployment.api_example(README.replace("## How", f"{shown}## How"))


# --- The checklist ------------------------------------------------------------------------------


def test_a_speedup_that_does_not_follow_is_named(folder):
    edit_json(folder / "run/endpoint.json", lambda c: c.update(speedup=40.0))
    assert only(folder).message_id == "week09_10.endpoint.score"


def test_an_edited_percentile_is_named(folder):
    def change(content):
        content["after"]["figures"]["p95"] = 0.001

    edit_json(folder / "run/endpoint.json", change)
    finding = only(folder)
    assert "requests after: p95 is 0.001" in finding.message


def test_a_request_less_after_than_before_is_named(folder):
    edit_json(folder / "run/endpoint.json", lambda c: c["after"]["requests"].pop())
    assert only(folder).message_id == "week09_10.endpoint.requests"


def test_a_score_of_a_sample_that_does_not_follow_is_named(folder):
    edit_json(folder / "run/endpoint.json", lambda c: c["samples"][2].update(base_score=1.0))
    assert "sample 3: base_score" in only(folder).message


def test_samples_that_were_changed_after_they_were_asked_are_named(folder):
    replace(folder / deployment.SAMPLES, "FRIDAY SHIFT", "MONDAY SHIFT")
    assert only(folder).message_id == "week09_10.endpoint.other_samples"


def test_a_page_that_was_edited_is_named(folder):
    replace(folder / "reports/latency.md", "tokens per second", "tokens per minute")
    assert only(folder).message_id == "week09_10.latency.differs"


def test_a_readme_without_the_section_is_named(folder):
    replace(folder / "README.md", "## How to ask it", "## Usage")
    assert 'no section "How to ask it"' in only(folder).message
