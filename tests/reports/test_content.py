"""`course report`: one content in four formats, made from run folders written here by hand.

The figures in the runs are invented for the tests; only their form is train_lora.py's.
"""

import base64
import io
import json
import math
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from course_utils.commands import main as cli
from course_utils.errors import CourseError
from course_utils.lab import parameters
from course_utils.reports import content as lab_report
from course_utils.reports import input as report_input
from course_utils.reports import pages as report_pages
from course_utils.reports import pptx as report_pptx
from course_utils.reports import write
from course_utils.reports.pdf import break_words, font_folder, prepare

SECTIONS = ["Parameter analysis", "Experiments", "Curves", "Test questions", "Reflections"]
SECTIONS += ["Reproducibility"]
HOSTILE = (
    '#import "@preview/x:1.0.0": *\n<script>alert(1)</script> $x^2$ *b* _i_ `r` | ![a](http://x)'
    " [l](javascript:x) <img src=x onerror=y> \u202eabc \x00\x1b 😀 שלום مرحبا 中文 \ufffe\ud800 "
    + "W"
    * 300
)

LONG = "W" * 1000 + "\n" + HOSTILE[:400]  # more than one slide holds


def losses(steps: int = 60, floor: float = 0.2) -> list[dict]:
    log = [{"step": s, "loss": floor + math.exp(-s / 20)} for s in range(10, steps + 1, 10)]
    return [*log, {"step": steps, "eval_loss": floor + 0.05, "eval_perplexity": 1.3}]


def training(floor: float = 0.2, seed: int = 42, **changes) -> dict:
    settings = parameters.start_values() | changes
    return {
        "train_loss": floor + 0.2,
        "eval_loss": floor + 0.05,
        "perplexity": math.exp(floor + 0.05),
        "seconds": 552.3,
        "peak_memory_gb": 2.61,
        "log": losses(floor=floor),
        "parameters": settings,
        "command": parameters.to_command(settings),
        "base_model": "smollm2-135m-instruct",
        "seed": seed,
        "data": {"file": "/home/me/records.jsonl", "train": 380, "validation": 42},
        "versions": {"python": "3.11.2", "torch": "2.13.0"},
        "hardware": {"cpu_model": "Test CPU", "cores": 2, "gpu_name": None},
    }


def question(number: int, **changes) -> dict:
    return {
        "instruction": f"Which mineral absorbs near 2.{number} µm?",
        "context": "",
        "expected": "Kaolinite.",
        "answer": "Kaolinite, by its Al-OH bond.",
        "base_answer": "A rock.",
        "scores": {"token_f1": 0.6, "base_token_f1": 0.1},
    } | changes


def make_run(folder: Path, content: dict | None = None, questions: list | None = None) -> Path:
    folder.mkdir(parents=True)
    text = json.dumps(training() if content is None else content)
    (folder / "training.json").write_text(text, encoding="utf-8")
    if questions is not None:
        lines = "".join(json.dumps(row) + "\n" for row in questions)
        (folder / "test_questions.jsonl").write_text(lines, encoding="utf-8")
    return folder


def notebook(answer: str) -> dict:
    """parameter_analysis.ipynb with all four answers and a figure for learning_rate only."""
    from PIL import Image

    picture = io.BytesIO()
    Image.new("RGBA", (300, 200), (0, 0, 0, 0)).save(picture, "PNG")
    text = "### learning_rate\n\n" + "\n\n".join(
        f"**{question}**\n\n{answer}" for question in parameters.QUESTIONS.values()
    )
    empty = "### lora_r\n\n**What does it control?**\n\nYOUR ANSWER HERE"
    data = {"image/png": base64.b64encode(picture.getvalue()).decode()}
    outputs = [{"output_type": "display_data", "data": data}]
    return {
        "cells": [
            {"cell_type": "markdown", "source": [text]},
            {"cell_type": "code", "source": "draw()", "outputs": outputs},
            {"cell_type": "markdown", "source": empty},
        ]
    }


def headings(report: dict, folder: Path) -> list[str]:
    """The main headings of the PDF, as Typst sees them."""
    import typst

    folder.mkdir()
    source = prepare(report, folder)
    found = typst.query(
        source, "heading.where(level: 1)", field="body", root=folder, font_paths=[font_folder()]
    )
    return [part["text"] for part in json.loads(found)]


def slides_of(path: Path) -> list:
    from pptx import Presentation

    return list(Presentation(path).slides)


def cells_of(slide) -> list[list[str]]:
    tables = [shape.table for shape in slide.shapes if shape.has_table]
    return [[cell.text for cell in row.cells] for table in tables for row in table.rows]


def titles_of(slides) -> list[str]:
    return [slide.shapes.title.text for slide in slides]


# ---------------------------------------------------------------- what is shown


def test_training_json_alone_makes_every_section_in_every_format(tmp_path):
    run = make_run(tmp_path / "run", {"train_loss": 0.4, "log": []})
    written = {form: write.write_report([run], form) for form in write.FORMATS}
    assert written["pdf"] == run / "report.pdf"
    assert written["pdf"].read_bytes().startswith(b"%PDF-")
    report = lab_report.collect([run])
    assert headings(report, tmp_path / "typst") == SECTIONS
    assert report["experiments"][0]["question"].startswith("One run")
    for form, pattern in (("html", r"<h2 id=\"\w+\">(.+)</h2>"), ("md", r"(?m)^## (.+)$")):
        assert re.findall(pattern, written[form].read_text(encoding="utf-8")) == SECTIONS
    titles = " | ".join(titles_of(slides_of(written["pptx"])))
    for section in SECTIONS:
        assert section in titles


def test_runs_are_compared_by_the_settings_that_changed(tmp_path):
    runs = [
        make_run(tmp_path / "start", training()),
        make_run(tmp_path / "r64", training(0.3, lora_r=64)),
        make_run(tmp_path / "two", training(lora_r=64, learning_rate=1e-3)),
        make_run(tmp_path / "seed", training(seed=7)),
        make_run(tmp_path / "again", training()),
    ]
    report = lab_report.collect(runs)
    questions = {row["name"]: row["question"] for row in report["experiments"]}
    assert questions["start"] == "The run that the others are compared with"
    assert questions["r64"] == "What does it do: lora_r 16 → 64?"
    assert "learning_rate 0.0002 → 0.001, lora_r 16 → 64? (more than one" in questions["two"]
    assert questions["seed"] == "Same settings, seed 42 → 7: how much is chance?"
    assert questions["again"] == "Same settings and seed: does it repeat?"
    assert report["overview"]["rows"][1][:3] == ["r64", "0.500", "0.350"]
    assert "highest 0.350 (r64)" in report["finding"]


def test_charts_and_tables_of_the_slides_are_native_and_hold_the_log(tmp_path):
    runs = [make_run(tmp_path / name, training(floor)) for name, floor in (("=a", 0.2), ("b", 0.4))]
    slides = slides_of(write.write_report(runs, "pptx"))
    charts = [shape.chart for slide in slides for shape in slide.shapes if shape.has_chart]
    series = list(charts[0].plots[0].series)
    assert [one.name for one in series] == ["run =a", "b"]  # "=a" would be a formula in Excel
    assert list(series[1].values) == pytest.approx([x["loss"] for x in losses(60, 0.4)[:-1]])
    experiments = next(s for s in slides if s.shapes.title.text.startswith("Experiments: question"))
    rows = cells_of(experiments)
    assert rows[0] == ["Run and question", "Command", "Result", "Interpretation (yours)"]
    assert rows[1][3] == ""
    assert training()["command"] in experiments.notes_slide.notes_text_frame.text


def test_a_diverged_run_is_said_to_be_one(tmp_path):
    bad = training(learning_rate=1e-2) | {"eval_loss": math.nan, "perplexity": math.nan}
    bad["log"][2]["loss"] = math.nan
    runs = [make_run(tmp_path / "fine"), make_run(tmp_path / "bad", bad)]
    report = lab_report.collect(runs)
    assert [run["diverged"] for run in report["experiments"]] == [False, True]
    assert report["overview"]["rows"][1][2:4] == ["–", "–"]
    assert "1 of 2 runs ended without a finite one" in report["finding"]
    assert len(report["curves"][1]["train"]) == len(report["curves"][0]["train"]) - 1
    assert "diverged" in write.write_report(runs, "md").read_text(encoding="utf-8")


def test_large_seeds_are_printed_whole_and_told_apart(tmp_path):
    runs = [make_run(tmp_path / name, training(seed=seed)) for name, seed in
            (("a", 20260101), ("b", 20260102))]  # fmt: skip
    report = lab_report.collect(runs)
    asked = report["experiments"][1]["question"]
    assert asked == "Same settings, seed 20260101 → 20260102: how much is chance?"


def test_long_names_of_runs_stay_apart(tmp_path):
    folders = [tmp_path / ("x" * 80 + end) for end in ("one", "two")]
    assert len(set(lab_report.run_names(folders))) == 2
    report = lab_report.collect([make_run(folder) for folder in folders])
    assert "without a finite one" not in report["finding"]


def test_the_value_of_each_run_stands_beside_the_start_value(tmp_path):
    runs = [make_run(tmp_path / f"r{r}", training(lora_r=r)) for r in (8, 32)]
    [rank] = [p for p in lab_report.collect(runs)["parameters"] if p["name"] == "lora_r"]
    assert rank["used"] == "8, 32"


def curve(name, *losses, lost=()):
    return {"name": name, "train": [], "eval": list(enumerate(losses, 1)), "lost": list(lost)}


@pytest.mark.parametrize(
    ("curves", "told"),
    [
        ([curve("a", 2.0, 1.0)], "Validation loss of a falls from 2.00 to 1.00"),
        ([curve("a", 2.0)], "Validation loss of a was logged once: 2.00"),
        ([curve("a", 2.0, 2.0)], "ends where it began, at 2.00"),
        ([curve("a", 2.0, 1.0, lost=["eval_loss"])], "ended as no number in this run"),
        ([curve("a", 2.0, 0.5, lost=["eval_loss"]), curve("b", 2.0, 1.0)],
         "Of these 2 runs, b ends with the lowest validation loss: 1.00 (1 ended as no number)"),
    ],
)  # fmt: skip
def test_curves_are_told_by_where_they_ended(curves, told):
    assert told in lab_report.curves_finding(curves)


def test_answers_and_figure_of_the_notebook_are_shown_and_placeholders_are_not(tmp_path):
    run = make_run(tmp_path / "run")
    content = json.dumps(notebook("Steps of 0.0002 are small."))
    (run / "parameter_analysis.ipynb").write_text(content, encoding="utf-8")
    report = lab_report.collect([run])
    assert report["answered"] == "4 of 52 answers are written"
    slides = slides_of(write.write_report([run], "pptx"))
    rate, rank = (
        next(s for s in slides if s.shapes.title.text.startswith(title))
        for title in ("learning rate:", "LoRA rank r")
    )
    assert [row[1] for row in cells_of(rate)] == ["Steps of 0.0002 are small."] * 4
    assert [row[1] for row in cells_of(rank)] == ["not written yet"] * 4
    assert sum(hasattr(shape, "image") for shape in rate.shapes) == 1
    assert (write.write_report([run], "md").parent / "report_pictures").is_dir()


@pytest.mark.parametrize(
    ("count", "said"), [(None, "no test questions yet"), (3, "holds 3 of at least 5"), (5, "")]
)
def test_fewer_than_five_questions_are_said(tmp_path, count, said):
    rows = None if count is None else [question(i) for i in range(count)]
    report = lab_report.collect([make_run(tmp_path / "run", questions=rows)])
    notes = " ".join(report["questions"]["notes"])
    assert said in notes if said else not notes
    assert len(report["questions"]["rows"]) == (count or 0)


def test_scores_are_those_of_the_larger_part_with_their_interval(tmp_path):
    run = make_run(tmp_path / "run", questions=[question(i) for i in range(5)])
    gap = {"mean": 0.4, "low": 0.3, "high": 0.5}
    for name, count, tuned in (("answers", 5, 0.5), ("held_out_answers", 80, 0.6)):
        content = {
            "questions": count,
            "base": {"token_f1": 0.2, "perplexity": 9.0},
            "tuned": {"token_f1": tuned, "perplexity": 2.0},
            "difference": {"token_f1": gap, "perplexity": None},
            "answers": [question(i, instruction=f"of {name}") for i in range(5)],
        }
        (run / f"{name}.json").write_text(json.dumps(content))
    report = lab_report.collect([run])
    held_out, test = report["questions"]["tables"]
    assert held_out["title"] == "80 held-out questions"
    assert held_out["rows"][0] == ["Token F1", "0.200", "0.600", "+0.40 [+0.30, +0.50]"]
    assert test["rows"][1] == ["Perplexity", "9.00", "2.00", "–"]
    assert "Token F1 on 80 held-out questions: base 0.200, tuned 0.600" in report["finding"]
    assert ["Token F1", "0.600"] in report["experiments"][0]["result"]
    assert report["questions"]["rows"][0]["parts"][0] == ("Question", "of answers")
    titles = titles_of(slides_of(write.write_report([run], "pptx")))
    assert "Scores on 80 held-out questions" in titles


def test_an_empty_answer_is_told_from_none(tmp_path):
    rows = [question(1, answer="", base_answer=None), question(2)]
    asked = lab_report.collect([make_run(tmp_path / "asked", questions=rows)])["questions"]
    waiting = lab_report.collect([make_run(tmp_path / "not", questions=rows[:1])])["questions"]
    shown = [dict(found["rows"][0]["parts"]) for found in (asked, waiting)]
    assert shown[0]["Tuned model"].startswith("(empty answer)")
    assert shown[0]["Base model"].startswith("no answer yet")
    assert shown[1]["Tuned model"].startswith("no answer yet")
    assert "inference_lora.py writes the answers" in " ".join(waiting["notes"])


def test_an_adapter_stands_for_the_run_beside_it_and_a_run_counts_once(tmp_path):
    run = make_run(tmp_path / "run")
    (run / "adapter").mkdir()
    (run / "adapter" / "adapter_config.json").write_text("{}")
    report = lab_report.collect([run, run / "adapter", run / "training.json"])
    assert [row["name"] for row in report["experiments"]] == ["run"]


# ---------------------------------------------------------------- nothing leaves its place


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.sources: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory) -> Path:
    content = training() | {
        "command": HOSTILE,
        "base_model": HOSTILE,
        "versions": {HOSTILE: HOSTILE},
        "data": HOSTILE,
    }
    rows = [question(1, instruction=HOSTILE, answer=HOSTILE * 3)] * 5
    run = make_run(tmp_path_factory.mktemp("hostile") / "$x_ #b <b>|`*", content, rows)
    text = json.dumps({"learning_rate": dict.fromkeys(parameters.QUESTIONS, LONG)})
    (run / "analysis.json").write_text(text, encoding="utf-8")
    return run


def test_hostile_text_stays_text_in_html_and_markdown(hostile_run):
    from markdown_it import MarkdownIt

    html = write.write_report([hostile_run], "html", group=HOSTILE).read_text("utf-8")
    source = write.write_report([hostile_run], "md", group=HOSTILE).read_text("utf-8")
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(source)
    for page in (html, rendered):
        tags = Tags()
        tags.feed(page)
        assert "script" not in tags.seen
        assert "b" not in tags.seen or page is html  # the template's own bold prompts
        assert all(re.match(r"#\w|data:image/png|report_pictures/", s) for s in tags.sources)
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<em>" not in re.sub(r"<em>(not written yet|\(write here\))</em>", "", rendered)


def test_hostile_text_stays_text_in_the_pdf(hostile_run, tmp_path):
    assert headings(lab_report.collect([hostile_run], HOSTILE), tmp_path / "typst") == SECTIONS
    assert write.write_report([hostile_run], "pdf").stat().st_size > 20_000


def test_slides_stay_within_their_borders_and_lose_no_word(hostile_run):
    slides = slides_of(write.write_report([hostile_run], "pptx", group=HOSTILE))
    width, height = 13.334 * 914400, 7.5 * 914400
    for slide in slides:
        for shape in slide.shapes:
            rows = shape.table.rows if shape.has_table else ()
            bottom = shape.top + max(shape.height, sum(row.height for row in rows))
            assert shape.left >= 0
            assert shape.left + shape.width <= width
            assert bottom <= height, slide.shapes.title.text
    assert any(row[0].endswith("(continued)") for slide in slides for row in cells_of(slide))
    answers = [
        row[1]
        for slide in slides
        if slide.shapes.title.text.startswith("learning rate")
        for row in cells_of(slide)
    ]
    said = re.sub(r"\s", "", "".join(answers))
    assert said == re.sub(r"\s", "", report_input.clean(LONG)) * 4


def test_wrapped_lines_fit_and_join_to_the_text():
    text = "short words and " + "W" * 200 + "\nthen ünïcode 中文字"
    lines = report_pptx.wrap(text, width=3, size=12)
    assert "".join(lines) == text
    widest = max(sum(map(report_pptx.letter_width, line.strip())) for line in lines)
    assert 0.8 * 3 * 72 / 12 < widest <= 3 * 72 / 12


def test_a_word_of_the_pdf_may_be_broken_before_it_leaves_the_page():
    text = break_words("see " + "W" * 200 + " /a/long/path/to/some/file.jsonl")
    assert text.replace("\u200b", "") == "see " + "W" * 200 + " /a/long/path/to/some/file.jsonl"
    assert max(map(len, re.split("[ \u200b]", text))) <= 16


@pytest.mark.parametrize("text", ["1. a", "# a", "- a", "a_b", "&amp;", "x ``` y", "__b__", "0.42"])
def test_escaped_markdown_renders_as_it_was(text):
    from markdown_it import MarkdownIt

    rendered = MarkdownIt("commonmark").render(report_pages.escape_markdown(text))
    assert rendered == f"<p>{text.replace('&', '&amp;')}</p>\n"


# ---------------------------------------------------------------- what goes wrong


def broken(folder: Path, name: str, content: bytes) -> Path:
    run = make_run(folder / "run")
    (run / name).write_bytes(content)
    return run


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("training.json", b'{"train_loss": ', "training.json: not readable as JSON"),
        ("training.json", b"[1, 2]", "it holds a list, not an object"),
        ("training.json", b'{"a": "\xff"}', "training.json: not UTF-8"),
        ("training.json", b"[" * 100_000, "nested too deeply"),
        ("training.json", b'{"train_loss": 1' + b"0" * 5000 + b"}", "not readable as JSON"),
        ("test_questions.jsonl", b'{"instruction": "a"}\n\nno', "test_questions.jsonl, line 3"),
        ("test_questions.jsonl", b"[1]", "line 1: this is a list, not an object"),
        ("parameter_analysis.ipynb", b'{"cells": [', "parameter_analysis.ipynb: not readable"),
        ("settings.json", b"null", "settings.json: it holds a NoneType"),
    ],
)
def test_a_broken_file_is_named(tmp_path, name, content, said):
    run = broken(tmp_path, name, content)
    with pytest.raises(CourseError, match=re.escape(said)) as caught:
        write.write_report([run], "html")
    assert caught.value.cure
    assert not (run / "report.html").exists()


VALUES = (None, [], {}, "text", -1, 1e308, 10**400, math.nan, [None], {"a": [1]})


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{value!r:.9}")
def test_values_of_any_kind_make_a_report(tmp_path, value):
    content, row = dict.fromkeys(training(), value), dict.fromkeys(question(1), value)
    run = make_run(tmp_path / "run", content, [row])
    scores = dict.fromkeys(("questions", "base", "tuned", "difference", "answers"), value)
    for number, part in enumerate(({"tuned": {"token_f1": 0.5}}, {"answers": [row]}, {})):
        name = ("held_out_answers.json", "answers.json", "evaluation.json")[number]
        (run / name).write_text(json.dumps(scores | part), encoding="utf-8")
    assert "Reproducibility" in write.write_report([run], "html").read_text("utf-8")


@pytest.mark.parametrize("cells", [None, 3, [1], [{}], [{"cell_type": 2, "source": [3]}]])
def test_a_notebook_of_any_shape_is_read(tmp_path, cells):
    run = make_run(tmp_path / "run")
    (run / "parameter_analysis.ipynb").write_text(json.dumps({"cells": cells}))
    assert lab_report.collect([run])["answered"].startswith("0 of 52")


def test_a_picture_that_is_none_is_left_out():
    assert report_input.sound_png("no base64 at all") is None
    assert report_input.sound_png(base64.b64encode(b"\x89PNG\r\n\x1a\n broken").decode()) is None


def test_what_a_student_may_have_written_is_not_replaced_unasked(tmp_path):
    run = make_run(tmp_path / "run")
    for form in write.EDITED:
        (run / f"report.{form}").write_text("my reflections")
        with pytest.raises(CourseError, match="you may have written into it"):
            write.write_report([run], form)
        assert (run / f"report.{form}").read_text() == "my reflections"
        assert write.write_report([run], form, overwrite=True).stat().st_size > 1000


@pytest.mark.parametrize("form", ["pdf", "html"])
def test_a_report_made_elsewhere_is_not_replaced_unasked_and_ours_is(tmp_path, form):
    run = make_run(tmp_path / "run")
    (run / f"report.{form}").write_text("exported from slides")
    with pytest.raises(CourseError, match="this kit did not make it") as caught:
        write.write_report([run], form)
    assert "--overwrite" in caught.value.cure
    assert (run / f"report.{form}").read_text() == "exported from slides"
    write.write_report([run], form, overwrite=True)
    assert write.write_report([run], form).stat().st_size > 1000


@pytest.mark.parametrize(("form", "package"), [("pdf", "typst"), ("pptx", "pptx")])
def test_a_missing_library_is_named_with_its_cure(tmp_path, monkeypatch, form, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(CourseError) as caught:
        write.write_report([make_run(tmp_path / "run")], form)
    assert "requirements-report.txt" in caught.value.cure


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["RUN", "--format", "md", "--out", "OUT"], 0, "Report: OUT"),
        (["RUN", "--format", "docx"], 2, "'docx' is not one of: pdf, pptx, html, md"),
        (["NONE"], 1, "NONE: there is no such folder"),
        (["EMPTY"], 1, "EMPTY: no training.json in it"),
        ([], 2, "Missing argument"),
    ],
)
def test_command_line(tmp_path, monkeypatch, capsys, arguments, code, said):
    monkeypatch.setenv("COLUMNS", "300")
    make_run(tmp_path / "RUN")
    (tmp_path / "EMPTY").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["course", "report", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    printed = capsys.readouterr()
    assert (end.value.code or 0) == code
    assert said in " ".join((printed.out + printed.err).split())


def test_the_report_of_a_course_run_is_not_replaced(tmp_path):
    assert write.default_name(tmp_path, "html") == "report.html"
    (tmp_path / "settings.json").write_text("{}")
    assert write.default_name(tmp_path, "html") == "lab_report.html"
    assert write.default_name(tmp_path, "pdf") == "report.pdf"
