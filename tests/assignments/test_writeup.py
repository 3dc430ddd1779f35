"""Evidence and reports from a small evaluation made by hand."""

import copy
import json
import re

import pytest

from course_utils import evaluation
from course_utils.assignments import rival_pages, scripts, writeup
from course_utils.errors import CourseError
from course_utils.files import write_json_atomic
from course_utils.tracks.manufacturing import track as tracks
from course_utils.tracks.wording import Draft

TASKS = ("understanding", "report", "qa")


def record(task, output, facts="", text="sheet", form=""):
    own = {"instruction": f"{task}?", "input": text, "output": output, "task": task}
    return own | {"document": "quality_report", "source": "s", "group": "g"} | (
        {"facts": facts} if facts else {}
    ) | ({"form": form} if form else {})  # fmt: skip


TEST = [
    record("understanding", '{"part": "hose", "defect": "leak"}'),
    record("report", "It cost 12 AUD.", "cost=12 AUD; system=Engine"),
    record("qa", "4.5 mm/s", "answer=4.5 mm/s"),
    record("qa", "The bucket leads.", "top=bucket", form="one sentence"),
]
ZERO = ["no idea", "It cost 12 AUD.", "5 mm/s", "bucket"]
FEW = ['{"part": "hose"}', "nothing", "45", "x"]
TUNED = ['{"part": "hose", "defect": "leak"}', "12 AUD, engine", "4.5 mm/s", "The bucket leads."]


def columns(answers, nll=2.0):
    return {"answers": answers, "nll": [nll] * len(TEST), "tokens": [2] * len(TEST)}


def side(answers, nll):
    own = columns(answers, nll)
    return {**own, "scores": evaluation.score(TEST, own)}


@pytest.fixture(scope="module")
def baseline():
    return {"zero_shot": side(ZERO, 8.0), "few_shot": side(FEW, 6.0)}


@pytest.fixture
def workspace(tmp_path):
    folder = tmp_path / "submission"
    for name, text in (
        ("configs/lora_config.yaml", "r: 8\nprecision: fp32\nbase_model: nano\n"),
        ("data/train.jsonl", "{}\n"),
        ("data/val.jsonl", "{}\n"),
        ("models/finetuned_model/adapter_model.safetensors", "weights"),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return scripts.open_workspace(scripts.arguments("", folder), [])


@pytest.fixture
def evaluated(workspace, baseline):
    """(table for the terminal, run/evaluation.json, workspace)."""
    forgetting = {"base": 20.0, "tuned": 25.0, "words": 300}
    table = writeup.write_evaluation(workspace, TEST, baseline, columns(TUNED, 1.0), forgetting)
    return table, workspace.run.read("evaluation.json"), workspace


def rows(page, title):
    """The table under a heading: score -> cells."""
    section = page.split(f"## {title}")[1].split("\n## ")[0]
    cells = [line.strip("| ").split(" | ") for line in section.splitlines() if line[:2] == "| "]
    return {name: own for name, *own in cells}


def shown(value):
    return rival_pages.cell(value)


# --- Evaluation ---


def test_evaluation_json_holds_the_scores_worked_out_by_hand(evaluated):
    _, saved, _ = evaluated
    assert list(saved["tasks"]) == list(TASKS)
    main = {
        task: (own["base_prompt"], own["base"][own["main"]], own["tuned"][own["main"]])
        for task, own in saved["tasks"].items()
    }
    assert main == {
        "understanding": ("few_shot", pytest.approx(2 / 3), 1.0),  # tp 1, fn 1
        "report": ("zero_shot", pytest.approx(2 / 3), 1.0),  # the cost; no system
        "qa": ("zero_shot", 0.5, 1.0),
    }
    assert saved["tasks"]["qa"]["tuned"]["token_f1"] == 1  # of the one that is prose
    assert saved["tasks"]["qa"]["base"]["token_f1"] == pytest.approx(2 / 3)
    assert saved["tasks"]["qa"]["records"] == 2
    assert saved["tasks"]["report"]["difference"]["fact_f1"] == {
        "mean": pytest.approx(1 / 3),
        "low": pytest.approx(1 / 3),
        "high": pytest.approx(1 / 3),
    }
    assert saved["tasks"]["report"]["gain"] is True
    assert saved["test_records"] == 4


def test_every_prediction_stands_beside_its_reference(evaluated):
    _, saved, _ = evaluated
    assert [row["tuned"] for row in saved["predictions"]] == TUNED
    assert [row["base"] for row in saved["predictions"]] == [FEW[0], ZERO[1], ZERO[2], ZERO[3]]
    assert [row["reference"] for row in saved["predictions"]] == [r["output"] for r in TEST]
    for name in ("facts", "form"):
        assert [row[name] for row in saved["predictions"]] == [r.get(name, "") for r in TEST]


def test_the_numbers_of_the_pages_are_those_of_the_json(evaluated):
    _, saved, workspace = evaluated
    results = workspace.report("evaluation_results.md").read_text(encoding="utf-8")
    compared = workspace.report("comparison_baseline.md").read_text(encoding="utf-8")
    for task, own in saved["tasks"].items():
        single, table = rows(results, task), rows(compared, task)
        for name, value in own["tuned"].items():
            title = writeup.tasks.NAMES[name]
            assert single[title] == [shown(value)]
            cells = [shown(own[system][name]) for system in ("zero_shot", "few_shot", "tuned")]
            assert table[title][:3] == cells
            difference = own["difference"][name]
            if difference is None:
                assert table[title][3] == "–"
            else:
                numbers = [float(n) for n in re.findall(r"[+-]\d+\.\d+", table[title][3])]
                expected = [difference[key] for key in ("mean", "low", "high")]
                assert numbers == pytest.approx(expected, abs=6e-4)


def test_the_page_names_the_better_baseline_and_the_verdict(evaluated):
    page = evaluated[2].report("comparison_baseline.md").read_text(encoding="utf-8")
    parts = page.split("\n## ")
    assert "better baseline: base, few-shot; the tuned model is better" in parts[1]
    assert "better baseline: base, zero-shot; the tuned model is better" in parts[2]
    assert "no gain shown" in parts[3]  # one of two questions: some draws hold no gain
    assert "base 20.0, tuned 25.0 (+25%)" in page


def test_the_table_for_the_terminal_shows_the_main_scores(evaluated):
    table, _, _ = evaluated
    lines = table.splitlines()
    assert len(lines) == 4
    assert re.split(r"\s{2,}", lines[1])[:4] == ["understanding", "field F1", "0.667", "1.000"]
    assert re.split(r"\s{2,}", lines[2]) == [
        *("report", "fact F1", "0.667", "1.000", "+0.333 [+0.333, +0.333]")
    ]


def test_scores_that_do_not_apply_are_dashes(workspace, baseline):
    test = [record("qa", "The bucket.")]
    own = {"answers": ["x"], "nll": [1.0], "tokens": [1]}
    sides = {name: {**own, "scores": evaluation.score(test, own)} for name in baseline}
    forgetting = {"base": 1.0, "tuned": 1.0, "words": 1}
    table = writeup.write_evaluation(workspace, test, sides, own, forgetting)
    assert "no record of this task names its facts" in table
    page = workspace.report("comparison_baseline.md").read_text(encoding="utf-8")
    assert rows(page, "qa")["fact match"] == ["–", "–", "–", "–"]
    results = workspace.report("evaluation_results.md").read_text(encoding="utf-8")
    assert rows(results, "qa")["fact match"] == ["–"]
    assert "no record of this task names its facts" in page
    assert "None" not in page + results
    assert not re.search(r"\bnan\b", page + results)


def test_the_best_and_the_worst_answers_are_shown_once_each():
    asked = [
        {**dict.fromkeys(("instruction", "input"), ""), "task": "qa", "facts": "",
         "reference": "pump", "base": base, "tuned": tuned}
        for base, tuned in (("pump", "loser"), ("x", "pump"), ("same", "same"), ("x", "pump b"))
    ]  # fmt: skip
    lines = writeup._examples(asked, "qa")
    titles = [line for line in lines if line.startswith("**")]
    assert titles == ["**gained most**"] * 2 + ["**gained least or lost**"] * 2
    answers = [lines[i + 2].strip() for i, line in enumerate(lines) if line == "tuned:"]
    assert answers == ["pump", "pump b", "same", "loser"]
    assert writeup._examples(asked[:1], "qa").count("**gained most**") == 1
    assert "**gained least or lost**" not in writeup._examples(asked[:2], "qa")
    assert writeup._examples(asked, "report") == []


def test_the_main_score_stands_beside_each_form_where_a_task_has_several():
    asked = [
        {**dict.fromkeys(("instruction", "input"), ""), "task": "qa", "form": form,
         "facts": facts, "reference": right, "base": base, "tuned": right}
        for form, facts, right, base in (
            ("name only", "answer=pump | hose", "pump", "hose"),
            ("name only", "answer=hose | pump", "hose", "hose"),
            ("number and unit only", "answer=4 mm", "4 mm", "5 mm"),
        )
    ]  # fmt: skip
    lines = writeup._by_form(asked, "qa")
    assert lines[0] == "Mean fact match by form:"
    assert [line.strip("| ").split(" | ") for line in lines[4:6]] == [
        ["name only", "2", "0.500", "1.000"],
        ["number and unit only", "1", "0.000", "1.000"],
    ]
    assert writeup._by_form(asked[:2], "qa") == writeup._by_form(asked, "report") == []


HOSTILE = [
    "<script>alert(1)</script>",
    "# heading\n\n| a | b |\n|---|---|\n| 1 | 2 |",
    "```\n</details>\n```",
    "\n\n![x](http://example.org/x.png)\n\n- item\n\n1. item",
    "text\n\n\n    more\n\ttab\u2028<b>line</b>\x0c<i>page</i>\r\n<u>",
    "    ",
    "",
    "&lt;b&gt; [a]: http://example.org\n[a]",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_an_answer_becomes_markdown_or_html(evaluated, text):
    from markdown_it import MarkdownIt

    content = copy.deepcopy(evaluated[1])
    clean = evaluated[2].report("evaluation_results.md").read_text(encoding="utf-8")
    for row in content["predictions"]:
        row |= dict.fromkeys(("tuned", "base", "input", "reference"), text)
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    kinds = [token.type for token in parser.parse(writeup.evaluation_page(content))]
    assert not {"html_block", "html_inline", "fence", "bullet_list_open"} & set(kinds)
    assert kinds.count("heading_open") == clean.count("\n## ") + 1
    assert kinds.count("table_open") == 3
    rendered = parser.render(writeup.evaluation_page(content))
    assert not re.search(r"<(script|b|i|u|img|a|details|ol|ul)\b", rendered)


def test_evaluation_without_an_adapter_is_not_done(evaluated):
    workspace = evaluated[2]
    assert writeup.is_evaluated(workspace)
    weights = workspace.adapter / "adapter_model.safetensors"
    weights.write_text("other weights")
    assert not writeup.is_evaluated(workspace)
    weights.unlink()
    assert not writeup.is_evaluated(workspace)


# --- Cheap rivals ---

CHEAP = {
    "qa": {"majority": {"seconds": 0.2, "answers": ["4.5 mm/s", "nothing"]}},
    "report": {
        "nearest neighbour": {"seconds": 0.1, "answers": ["nothing"]},
        "report program": {"seconds": 0.3, "answers": ["12 AUD, Engine"]},
    },
}


def test_the_rivals_stand_beside_base_and_tuned(workspace, baseline):
    forgetting = {"base": 20.0, "tuned": 25.0, "words": 300}
    tuned = columns(TUNED, 1.0)
    told = writeup.write_evaluation(workspace, TEST, baseline, tuned, forgetting, CHEAP)
    saved = workspace.run.read("evaluation.json")
    assert [row["rivals"] for row in saved["predictions"]] == [
        {},
        {"nearest neighbour": "nothing", "report program": "12 AUD, Engine"},
        {"majority": "4.5 mm/s"},
        {"majority": "nothing"},
    ]
    assert saved["rivals"]["qa"]["rows"][0]["rivals"] == {"majority": 0.5}
    assert "majority" in told
    page = workspace.report("comparison_baseline.md").read_text(encoding="utf-8")
    table = rows(page, "Cheap rivals")
    heads = table["task, form"]
    assert table["**qa** (fact match)"][heads.index("majority")] == "0.500"
    assert table["**report** (fact F1)"][heads.index("report program")] == "1.000"
    assert "The tuned model beats every fitted rival here: report." in page
    assert "written by hand" not in page.split("**")[-1]
    assert "Best cheap rival: majority, fact match 0.500" in workspace.report(
        "evaluation_results.md"
    ).read_text(encoding="utf-8")


def test_the_rivals_are_kept_with_the_baseline(workspace, baseline):
    writeup.write_baseline(workspace, TEST, baseline, CHEAP)
    assert writeup.saved_rivals(workspace, TEST) == CHEAP
    assert writeup.saved_rivals(workspace, TEST[:3]) is None
    writeup.write_baseline(workspace, TEST, baseline)
    assert writeup.saved_rivals(workspace, TEST) is None


# --- The baseline is kept ---


def test_a_baseline_is_used_again_for_the_same_records_only(workspace, baseline):
    assert writeup.saved_baseline(workspace, TEST) is None
    writeup.write_baseline(workspace, TEST, baseline)
    saved = writeup.saved_baseline(workspace, TEST)
    assert saved == json.loads(json.dumps(baseline))
    assert writeup.saved_baseline(workspace, TEST[:3]) is None
    assert writeup.saved_baseline(workspace, TEST[::-1]) is None


def test_a_baseline_is_measured_anew_when_its_examples_may_have_changed(workspace, baseline):
    writeup.write_baseline(workspace, TEST, baseline)
    (workspace.data("train")).write_text('{"other": "examples"}\n')
    assert writeup.saved_baseline(workspace, TEST) is None


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ("r=4", True),
        ("learning_rate=0.5", True),
        ("seed=7", False),
        ("few_shot_examples=1", False),
        ("base_model=other", False),
        ("precision=bf16", False),
    ],
)
def test_a_baseline_does_not_depend_on_the_adapter(workspace, baseline, change, kept):
    writeup.write_baseline(workspace, TEST, baseline)
    parser = scripts.arguments("", workspace.folder)
    other = scripts.open_workspace(parser, ["--set", change])
    assert (writeup.saved_baseline(other, TEST) is not None) is kept


def test_a_broken_baseline_is_a_course_error(workspace):
    (workspace.run.folder / "baseline.json").write_text("{")
    with pytest.raises(CourseError, match=r"baseline\.json"):
        writeup.saved_baseline(workspace, TEST)


# --- Training log ---

TRAINING = {
    "log": [
        {"step": 1, "epoch": 0.5, "loss": 2.5, "learning_rate": 1e-3},
        {"step": 2, "epoch": 1.0, "eval_loss": 1.25, "eval_perplexity": 3.49},
        {"step": 2, "epoch": 1.0, "total_flos": 7},
    ],
    "steps": 2, "planned_steps": 4, "stopped_early": True, "tokens": 12345,
    "tokens_per_second": 100.4, "seconds": 123.0, "peak_memory_gb": 1.5,
    "trainable_parameters": 1000, "total_parameters": 123456, "final_train_loss": 2.5,
    "eval_loss": 1.2, "perplexity": 3.32,
}  # fmt: skip


def test_the_training_log_holds_configuration_curve_and_result(workspace):
    workspace.run.write("training.json", TRAINING)
    last = writeup.write_training_log(workspace)
    text = workspace.report("training_log.txt").read_text(encoding="utf-8")
    assert last in text
    for line in (
        "steps                 2 of 4 (stopped early)",
        "processes             1",
        "tokens                12,345",
        "trainable parameters  1,000 of 123,456",
        "validation loss       1.2000 (every token weighs the same)",
        "perplexity            3.320",
    ):
        assert line in text.splitlines()
    assert re.search(r"^  r +8$", text, re.M)
    curve = text.split("learning rate\n")[1].split("\n\n")[0].splitlines()
    assert [line.split() for line in curve] == [
        ["1", "0.50", "2.5000", "1.00e-03"],
        ["2", "1.00", "1.2500", "3.490"],
    ]
    head = next(line for line in text.splitlines() if line.startswith("step "))
    assert curve[0].index("2.5000") + 6 == head.index("train loss") + len("train loss")
    assert curve[1].index("3.490") + 5 == head.index("perplexity") + len("perplexity")


def test_a_training_is_the_one_of_this_configuration_and_this_data(workspace):
    assert not writeup.is_trained(workspace)
    write_json_atomic(
        workspace.run.folder / "training.json", {"made_from": writeup.made_from(workspace)}
    )
    assert writeup.is_trained(workspace)
    parser = scripts.arguments("", workspace.folder)
    for change in ("test_records=9", "test_shares={qa: 2}", "eval_batch_size=3"):
        assert writeup.is_trained(scripts.open_workspace(parser, ["--set", change])), change
    assert not writeup.is_trained(scripts.open_workspace(parser, ["--set", "r=4"]))
    workspace.data("val").write_text("changed")
    assert not writeup.is_trained(workspace)


# --- Data ---


def test_the_data_summary_counts_what_the_parts_hold(workspace, prepared):
    words = ["pump", "hose", "seal", "belt", "gear", "boom", "slew", "track", "cabin", "arm"]
    drafts = [
        Draft(record(task, f"It is a {a}.", text=f"The {a} is near a {b} and worn"), f"{a}{b}")
        for task in ("qa", "report")
        for a in words
        for b in words
    ]
    track = tracks.assemble(drafts, 1)
    overlap = {"exact": 0, "near": 0, "groups": 0}
    track.parts["reserve"] = track.parts["train"][-3:]  # one group: whole groups leave it empty
    kept = {name: part[:20] for name, part in tracks.handed_out(track.parts).items()}
    summary = writeup.data_summary(track, kept, overlap, workspace)
    assert summary["kept"] == sum(map(len, kept.values()))
    assert summary["reserve"]["records"] == 3
    assert summary["parts"] == {name: len(part) for name, part in kept.items()}
    assert sum(summary["tasks"].values()) == summary["kept"]
    for figures in summary["tokens"].values():
        assert 0 < figures["mean"] <= figures["p99"] <= figures["longest"] < 100
        assert figures["cut"] == 0
    assert json.loads(json.dumps(summary)) == summary
    table = writeup.data_table(summary)
    assert f"{summary['drafts']:,} drafted" in table
    assert f"{summary['kept']:,} kept" in table
