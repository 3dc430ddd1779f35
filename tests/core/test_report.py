"""report.html, results.json and the terminal table, made from a run folder written here."""

import io
import json
import math
import os
from html.parser import HTMLParser
from pathlib import Path

import chromium
import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

from course_utils import report
from course_utils.errors import CourseError
from course_utils.metrics import METRICS, RECORD_METRICS, RESULT_METRICS
from course_utils.settings import preset_settings

ATTACK = "<script>alert(1)</script><img src=http://x.example/a onerror=alert(2)>"

NONE = dict.fromkeys(RECORD_METRICS)
ZERO_SHOT = NONE | dict(zip(METRICS, (18.93, 0.6, 0.092, 0.012, 0.084, 0.0, 0.0), strict=True))
FEW_SHOT = NONE | dict(zip(METRICS, (5.83, 12.4, 0.381, 0.212, 0.362, 0.142, 0.004), strict=True))
TUNED = NONE | dict(zip(METRICS, (1.27, 62.5, 0.822, 0.691, 0.813, 0.671, 0.221), strict=True))
SPREAD = dict(zip(METRICS, (0.51, 3.9, 0.031, 0.034, 0.032, 0.041, 0.052), strict=True))


def difference() -> dict:
    """Tuned − few-shot with a made-up half-width for each metric."""
    gaps = {metric: TUNED[metric] - FEW_SHOT[metric] for metric in METRICS}
    return {
        metric: {"mean": gap, "low": gap - SPREAD[metric], "high": gap + SPREAD[metric]}
        for metric, gap in gaps.items()
    }


def training_log(steps: int = 200) -> list[dict]:
    log = []
    for step in range(5, steps + 1, 5):
        wave = 0.03 * math.sin(step * 1.7)
        log.append(
            {
                "step": step,
                "epoch": step / steps,
                "loss": 0.22 + 1.5 * math.exp(-step / 22) + wave,
                "learning_rate": 1e-3 * 0.5 * (1 + math.cos(math.pi * step / steps)),
                "grad_norm": 0.6 + 3 * math.exp(-step / 12) + abs(wave),
            }
        )
        if step % 40 == 0:
            loss = 0.24 + 1.3 * math.exp(-step / 24)
            log.append({"step": step, "eval_loss": loss, "eval_perplexity": math.exp(loss)})
    return log


def work_order(**fields: str) -> str:
    return json.dumps(fields)


def examples() -> dict:
    seat = work_order(system="cabin", part="seat", action="repair", failure_mode="broken")
    hose = work_order(system="hydraulic", part="hose", action="replace", failure_mode="leaking")
    tram = work_order(
        system="track", part="tram motor", action="replace", failure_mode="", location="left hand"
    )
    best = {
        "input": "L/H BUCKET CYL LEAKING.",
        "reference": work_order(system="bucket", part="cylinder", failure_mode="leak"),
        "base": "The left hand bucket cylinder is leaking and should be inspected by a technician.",
        "tuned": work_order(system="bucket", part="Cylinder", failure_mode="leak"),
        "base_score": 0.0,
        "tuned_score": 1.0,
    }
    second = {**best, "input": "repair broken seat", "reference": seat, "base": hose, "tuned": seat}
    worst = {
        "input": "replce case drain hose between tram moto",
        "reference": hose,
        "base": "```json\n" + work_order(system="hose", part="case drain hose") + "\n```",
        "tuned": tram,
        "base_score": 0.0,
        "tuned_score": 0.25,
    }
    plain = {
        "input": "Which band shows kaolinite?",
        "reference": "Kaolinite absorbs near 2.2 micrometres.",
        "base": "Kaolinite is a clay.",
        "tuned": "Kaolinite absorbs near 1.4 micrometres.",
        "base_score": None,
        "tuned_score": None,
    }
    return {"best": [best, second], "worst": [worst, plain]}


def run_files() -> dict:
    """Every JSON file of a finished run; the numbers are invented for the test."""
    settings = preset_settings("cpu").with_changes(precision="fp32", lora_r=8).model_dump()
    return {
        "settings.json": {
            "settings": settings,
            "seed": 42,
            "precision_reason": "fp32: this processor has no bf16 instructions",
            "versions": {"python": "3.11.2", "torch": "2.13.0", "transformers": "5.23.0"},
            "hardware": {"cpu_model": "Test CPU", "cores": 2, "ram_gb": 15.6, "gpu_name": None},
            "created": "2026-01-01T10:00:00+00:00",
        },
        "data/summary.json": {
            "raw": 5485,
            "dropped": {"exact duplicate": 903, "near-duplicate": 412, "conflicting labels": 230},
            "kept": 3940,
            "parts": {"train": 3152, "val": 394, "test": 394},
            "overlap": {"exact": 0, "near": 0},
            "source": "excavator work orders (test fixture)",
            "licence": "public domain",
        },
        "baseline.json": {
            "base_model": "smollm2-135m-instruct",
            "test_records": 240,
            "main": "few_shot",
            "zero_shot": ZERO_SHOT,
            "few_shot": FEW_SHOT,
            "seconds": 101.5,
            "predictions": [],
        },
        "training.json": {
            "train_loss": 0.38,
            "eval_loss": 0.242,
            "perplexity": 1.27,
            "steps": 200,
            "tokens": 110_240,
            "seconds": 552.3,
            "tokens_per_second": 199.6,
            "stopped_early": False,
            "peak_memory_gb": 2.61,
            "trainable_parameters": 2_442_240,
            "total_parameters": 136_957_248,
            "quantization": "none",
            "precision": "fp32",
            "log": training_log(),
            "resume": {"stopped_at": 120, "resumed_from": 80, "max_difference": 0.0},
        },
        "evaluation.json": {
            "base": FEW_SHOT,
            "tuned": TUNED,
            "difference": difference(),
            "forgetting": {"base": 21.3, "tuned": 22.9, "words": 1840},
            "examples": examples(),
        },
        "inference.json": {
            "merge": {"agree": 8, "of": 8, "max_logit_difference": 2.1e-5},
            "latency": [
                {"mode": mode, "batch_size": size, "seconds": s, "tokens_per_second": rate}
                for mode, size, s, rate in (
                    ("unmerged", 1, 3.91, 11.2),
                    ("unmerged", 8, 7.4, 61.0),
                    ("merged", 1, 2.32, 19.4),
                    ("merged", 8, 5.0, 92.5),
                )
            ],
            "samples": [
                {
                    "input": "Right slew motor leaking oil",
                    "off": "The right slew motor is leaking oil. Check the seals.",
                    "on": work_order(system="slew", part="motor", failure_mode="leak"),
                }
            ],
            "endpoint": {
                "model": "runs/sample/merged",
                "prompt": "A/C not working",
                "answer": work_order(system="cabin", part="air conditioner"),
                "seconds": 3.4,
                "status": "answered and stopped",
            },
        },
    }


def make_run_folder(folder: Path, only: tuple = (), **changes: object) -> Path:
    """A finished run folder, or the files `only` names (without ".json").

    `changes` replace a file's contents ("data__summary" is data/summary.json); None drops it.
    """
    files = {
        name: content for name, content in run_files().items() if not only or name[:-5] in only
    }
    for name, content in changes.items():
        files[name.replace("__", "/") + ".json"] = content
    for name, content in files.items():
        if content is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            text = content if isinstance(content, str) else json.dumps(content)
            (folder / name).write_text(text, encoding="utf-8")
    return folder


class Page(HTMLParser):
    """Tags, addresses and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.ids: set[str] = set()
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "action", "data", "srcset", "poster"):
                self.addresses.append(value)
            self.handlers += [name] * name.startswith("on")
            self.ids |= {value} if name == "id" else set()

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page_of(folder: Path) -> Page:
    return Page(report.write_report(folder).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Page:
    return page_of(make_run_folder(tmp_path_factory.mktemp("runs") / "sample"))


# ---------------------------------------------------------------- results.json


def test_results_have_the_keys_of_the_contract(tmp_path):
    results = report.collect_results(make_run_folder(tmp_path))
    assert list(results) == [
        *("track", "preset", "base_model", "seed", "test_records", "base", "base_prompt"),
        *("baselines", "tuned", "difference", "rivals", "rival", "over_rival", "prints"),
    ]
    assert results["baselines"] == {"zero_shot": ZERO_SHOT, "few_shot": FEW_SHOT}
    assert (results["base_prompt"], results["test_records"]) == ("few_shot", 240)


def test_a_metric_that_does_not_apply_is_null_and_not_absent(tmp_path):
    evaluation = {
        **run_files()["evaluation.json"],
        "tuned": {"perplexity": 1.3, "bleu": float("nan")},
    }
    evaluation["difference"] = {"perplexity": {"mean": -4.5, "low": -5, "high": -4}}
    folder = make_run_folder(tmp_path, evaluation=evaluation)
    written = json.loads(report.write_results(folder).read_text(encoding="utf-8"))
    assert set(written["tuned"]) == set(written["difference"]) == set(RESULT_METRICS)
    assert written["tuned"]["bleu"] is None
    assert written["difference"]["field_f1"] is None


@pytest.mark.parametrize(
    ("name", "notebook"),
    [("settings", "01_data_prep"), ("baseline", "02_baseline"), ("evaluation", "04_evaluation")],
)
def test_results_name_the_file_that_is_missing_and_its_notebook(tmp_path, name, notebook):
    folder = make_run_folder(tmp_path, **{name: None})
    with pytest.raises(CourseError, match=f"{name}.json") as caught:
        report.collect_results(folder)
    assert caught.value.cure == f"run notebook {notebook} first"
    assert not (folder / "results.json").exists()


def trained_again(tmp_path):
    """A finished run whose evaluation names other weights than those that lie in adapter/."""
    evaluation = {**run_files()["evaluation.json"], "prints": {"adapter": "0" * 16}}
    folder = make_run_folder(tmp_path, evaluation=evaluation)
    (folder / "adapter").mkdir()
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"newer weights")
    return folder


def test_results_of_another_adapter_are_not_written(tmp_path):
    folder = trained_again(tmp_path)
    with pytest.raises(CourseError, match="evaluation.json is of another adapter") as caught:
        report.write_results(folder)
    assert caught.value.cure.startswith("run notebook 04 again: course run --only 04 ")
    assert not (folder / "results.json").exists()


def test_a_report_of_another_adapter_says_so_and_shows_no_large_numbers(tmp_path):
    html = report.write_report(trained_again(tmp_path)).read_text(encoding="utf-8")
    page = Page(html)
    assert report.OUTDATED in page.text
    assert "evaluation.json is of another adapter than lies in adapter/" in page.text
    assert "Cure: run notebook 04 again: " in page.text
    assert "Fine-tuning raised" not in page.text
    assert 'class="cards"' not in html


def test_a_report_of_an_older_kits_run_says_what_cannot_be_told(finished):
    assert "(made by an older kit), so whether this run's files belong together" in finished.text
    assert report.OUTDATED not in finished.text
    assert "Fine-tuning raised" in finished.text


def test_an_unknown_main_prompt_is_refused(tmp_path):
    baseline = {**run_files()["baseline.json"], "main": "many_shot"}
    with pytest.raises(CourseError, match=r"baseline\.json.*many_shot"):
        report.collect_results(make_run_folder(tmp_path, baseline=baseline))


# ---------------------------------------------------------------- words and tables


def test_the_headline_gives_both_scores_and_the_interval(tmp_path):
    text = report.headline(report.collect_results(make_run_folder(tmp_path)))
    assert "raised field F1 from 0.14 (base few-shot) to 0.67 on 240 held-out records" in text
    assert "a gain of 0.53 (95 % interval 0.49 to 0.57)" in text
    assert "Perplexity of the completions fell from 5.83 to 1.27." in text


def test_the_headline_claims_nothing_when_the_interval_includes_zero(tmp_path):
    results = report.collect_results(make_run_folder(tmp_path))
    results["difference"]["field_f1"] = {"mean": 0.02, "low": -0.03, "high": 0.07}
    assert "no clear difference to field F1" in report.headline(results)


def test_the_headline_says_so_when_the_score_fell(tmp_path):
    results = report.collect_results(make_run_folder(tmp_path))
    results["tuned"]["field_f1"] = 0.1
    results["difference"]["field_f1"] = {"mean": -0.042, "low": -0.08, "high": -0.01}
    expected = "lowered field F1 from 0.14 (base few-shot) to 0.10 on 240 held-out records: "
    assert expected + "a loss of 0.04 (95 % interval 0.01 to 0.08)" in report.headline(results)


def test_the_headline_uses_another_metric_where_field_f1_does_not_apply(tmp_path):
    results = report.collect_results(make_run_folder(tmp_path))
    results["base"]["field_f1"] = results["tuned"]["field_f1"] = None
    assert "raised ROUGE-L from 0.36" in report.headline(results)


def test_lower_perplexity_is_better_and_an_interval_around_zero_is_unclear(tmp_path):
    results = report.collect_results(make_run_folder(tmp_path))
    results["difference"]["rouge2"] = {"mean": 0.01, "low": -0.02, "high": 0.04}
    results["difference"]["rouge1"] = {"mean": -0.05, "low": -0.08, "high": -0.01}
    verdicts = {row["name"]: row["verdict"] for row in report.result_rows(results)}
    assert verdicts["Perplexity"] == verdicts["Field F1"] == "better"
    assert verdicts["ROUGE-1"] == "worse"
    assert verdicts["ROUGE-2"] == "unclear"


def test_the_terminal_table_shows_base_against_tuned(tmp_path):
    from rich.console import Console

    results = report.collect_results(make_run_folder(tmp_path))
    results["difference"]["exact_match"] = results["tuned"]["exact_match"] = None
    console = Console(width=110, record=True, file=io.StringIO())
    console.print(report.results_table(results))
    text = console.export_text()
    field_f1 = next(line for line in text.splitlines() if "Field F1" in line)
    assert field_f1.replace("│", " ").split() == [
        *("Field", "F1", "0.000", "0.142", "0.671", "+0.529", "[+0.488,", "+0.570]", "better"),
    ]
    assert "-4.56 [-5.07, -4.05]" in text


@pytest.mark.parametrize("size", [1.0, 100.0, 9_999.4, 44_356.7, 3.2e6, 1.1e9, 4e14])
def test_the_terminal_table_cuts_no_word_at_80_columns(tmp_path, size):
    from rich.console import Console

    results = report.collect_results(make_run_folder(tmp_path))
    for scores in (*results["baselines"].values(), results["base"], results["tuned"]):
        scores["perplexity"] = size
    interval = {"mean": -size, "low": -1.05 * size, "high": 0.95 * size}
    results["difference"]["perplexity"] = interval
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(report.results_table(results))
    text = console.export_text()
    assert "…" not in text
    (perplexity,) = [line for line in text.splitlines() if "Perplexity" in line]
    assert perplexity.rstrip().endswith("unclear")


# ---------------------------------------------------------------- the page


@pytest.mark.skipif(any(mark.args[0] for mark in chromium.NEEDED), reason="no browser")
def test_no_table_of_the_page_is_cut_at_900_pixels(tmp_path):
    files = run_files()
    evaluation = files["evaluation.json"]
    evaluation["difference"]["perplexity"] = {"mean": -44_356, "low": -45_901, "high": -40_022}
    page = report.write_report(make_run_folder(tmp_path, evaluation=evaluation))
    with chromium.fresh_page(900, 900) as browser:
        browser.goto(page.as_uri())
        widths = (
            "[...document.querySelectorAll('.scroll')].map(e => [e.scrollWidth, e.clientWidth])"
        )
        tables = browser.evaluate(widths)
    assert len(tables) > 5
    assert [pair for pair in tables if pair[0] > pair[1]] == []


def test_the_page_asks_nothing_of_the_network(finished):
    outside = [a for a in finished.addresses if not a.startswith(("data:image/png", "#"))]
    assert outside == []
    assert not {"script", "iframe", "object", "embed", "link"} & set(finished.tags)
    assert sum(address.startswith("data:") for address in finished.addresses) == 4


def test_each_entry_of_the_contents_leads_to_a_section(finished):
    links = [address[1:] for address in finished.addresses if address.startswith("#")]
    assert len(links) == 8
    assert set(links) <= finished.ids


@pytest.mark.parametrize(
    "fact",
    [
        "to 0.67 on 240 held-out records",
        "+0.529 [+0.488, +0.570] ● better",
        "stopped at step 120, resumed from the checkpoint of step 80",
        "trained twice, gave exactly the same losses",
        "9 min 12 s",
        "dropped: near-duplicate 412",
        "0 exact and 0 near-duplicates",
        "perplexity rose by 7.5 %: 21.3",
        "same answer for 8 of 8 prompts; largest difference of a logit 2.1e-05",
        "merged 8 5.00 92.5",
        "answered and stopped · 3.40 s",
        "course run --preset cpu --track manufacturing --out runs/sample -p lora_r 8",
        "transformers 5.23.0",
        "cpu_model Test CPU",
    ],
)
def test_the_page_states(finished, fact):
    assert fact in finished.text


def test_a_finished_run_has_no_pending_part(finished):
    assert "Not run yet" not in finished.text


def test_an_empty_run_folder_names_the_notebook_of_every_part(tmp_path):
    text = page_of(tmp_path).text
    assert "Nothing has run in this folder yet." in text
    for name in ("01_data_prep", "02_baseline", "03_lora_sft", "04_evaluation", "05_inference"):
        assert f"notebook {name} makes this part" in text


def test_the_baseline_alone_is_shown_without_a_tuned_score(tmp_path):
    later = dict.fromkeys(("training", "evaluation", "inference"))
    text = page_of(make_run_folder(tmp_path, **later)).text
    assert "notebook 02 is the last" in text
    assert "Field F1 0.000 0.142 – –" in text


def test_what_models_and_data_wrote_is_escaped(tmp_path):
    files = json.loads(json.dumps(run_files()).replace("bucket", "MARK").replace("slew", "MARK"))
    hostile = json.loads(json.dumps(files).replace("MARK", ATTACK))
    example = dict.fromkeys(("input", "reference", "base", "tuned"), ATTACK)
    hostile["evaluation.json"]["examples"]["worst"].append(example)
    hostile["evaluation.json"]["examples"]["best"][0]["base"] = ATTACK
    hostile["data/summary.json"].update(source=ATTACK, dropped={ATTACK: 1545})
    hostile["settings.json"]["settings"]["base_model"] = ATTACK
    hostile["settings.json"]["versions"][ATTACK] = ATTACK
    hostile["inference.json"]["latency"][0]["mode"] = ATTACK
    hostile["inference.json"]["endpoint"] = dict.fromkeys(("model", "answer", "status"), ATTACK)
    folder = make_run_folder(tmp_path, **{k[:-5].replace("/", "__"): v for k, v in hostile.items()})
    page = page_of(folder)
    assert "script" not in page.tags
    assert page.handlers == []
    assert all(address.startswith(("data:image/png", "#")) for address in page.addresses)
    assert page.text.count("alert(1)") >= 12


def test_control_characters_and_lone_surrogates_do_not_reach_the_page(tmp_path):
    evaluation = run_files()["evaluation.json"]
    evaluation["examples"]["best"][0]["input"] = "a\x00b\u202ec\ud800d"
    folder = make_run_folder(tmp_path, only=("settings",), evaluation=evaluation)
    path = report.write_report(folder)
    assert "a\ufffdb\ufffdc\ufffdd" in path.read_text(encoding="utf-8")


def test_a_flood_of_text_is_cut(tmp_path):
    evaluation = run_files()["evaluation.json"]
    evaluation["examples"]["best"][0]["base"] = "flood " * 200_000
    page = page_of(make_run_folder(tmp_path, only=("settings",), evaluation=evaluation))
    assert page.text.count("flood") < 300
    assert "more characters" in page.text


@pytest.mark.parametrize("name", sorted(report.PARTS))
@pytest.mark.parametrize("broken", ['{"half": ', "[]", '{"log": 3, "settings": 4, "raw": "x"}'])
def test_a_broken_file_is_named_and_the_old_report_stays(tmp_path, name, broken):
    if name == "inference.json" and broken.startswith('{"log'):
        broken = '{"latency": 3}'
    if name == "evaluation.json" and broken.startswith('{"log'):
        broken = '{"examples": 3}'
    folder = make_run_folder(tmp_path, only=("settings",), **{name[:-5].replace("/", "__"): broken})
    (folder / "report.html").write_text("old", encoding="utf-8")
    with pytest.raises(CourseError, match=name) as caught:
        report.write_report(folder)
    assert caught.value.cure
    assert (folder / "report.html").read_text(encoding="utf-8") == "old"
    assert not list(folder.glob(".report*"))


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(CourseError, match="no such run folder"):
        report.write_report(tmp_path / "nowhere")


def test_data_whose_numbers_do_not_add_up_is_pointed_out(tmp_path):
    summary = {**run_files()["data/summary.json"], "kept": 3941, "overlap": {"exact": 2, "near": 5}}
    text = page_of(make_run_folder(tmp_path, only=("settings",), data__summary=summary)).text
    assert "5,485 raw − dropped = 3,940, not 3,941 kept" in text
    assert "The parts overlap: 2 exact and 5 near-duplicates" in text


# ---------------------------------------------------------------- samples


def states(view: dict, system: str) -> dict[str, str]:
    return {row["field"]: row[system]["state"] for row in view["rows"]}


def test_fields_are_compared_as_the_metric_reads_them():
    example = {
        "input": "x",
        "reference": work_order(system="Bucket", part="cylinder", action="repair"),
        "base": "no record here",
        "tuned": "Sure: " + work_order(system="bucket", part="hose", location="left"),
    }
    view = report.compare_example(example)
    expected = {"system": "right", "part": "wrong", "action": "missing", "location": "extra"}
    assert states(view, "tuned") == expected
    assert view["rows"][0]["base"] is None
    assert view["raw"] == {"base": "no record here"}


def test_plain_answers_are_compared_word_by_word():
    view = report.compare_example(examples()["worst"][1])
    assert view["rows"] is None
    assert view["words"]["tuned"] == [
        *(("Kaolinite absorbs near", False), ("1.4", True), ("micrometres.", False)),
    ]


def of_questions(tmp_path) -> dict:
    """results.json of records with facts: no score of JSON records applies."""
    files = run_files()
    facts = {"fact_match": 0.25, "field_f1": None, "exact_match": 0.1}
    baseline = files["baseline.json"] | {"few_shot": FEW_SHOT | facts}
    baseline["zero_shot"] = ZERO_SHOT | {"fact_match": 0.0, "field_f1": None}
    gain = {"mean": 0.5, "low": 0.4, "high": 0.6}
    evaluation = files["evaluation.json"] | {"base": FEW_SHOT | facts}
    evaluation |= {"tuned": TUNED | facts | {"fact_match": 0.75}}
    evaluation["difference"] = {"fact_match": gain}
    return report.collect_results(
        make_run_folder(tmp_path, baseline=baseline, evaluation=evaluation)
    )


def test_the_score_of_questions_leads_headline_cards_and_table(tmp_path):
    results = of_questions(tmp_path)
    assert "raised fact match from 0.25 (base few-shot) to 0.75" in report.headline(results)
    assert report._cards(results, {})[0]["name"] == "Fact match"
    names = [row["name"] for row in report.result_rows(results)]
    assert names[0] == "Fact match"
    assert "Field F1" not in names  # it applies to none of these records


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (12.34, "12.3 s"),
        (552.3, "9 min 12 s"),
        (3900, "1 h 05 min"),
        (59.99, "60.0 s"),
        (None, "–"),
    ],
)
def test_duration(seconds, text):
    assert report.duration(seconds) == text


def test_a_run_name_with_spaces_is_quoted_in_the_command(tmp_path):
    folder = make_run_folder(tmp_path / "my run; rm")
    saved = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    assert "--out 'runs/my run; rm'" in report.reproduce_command(folder, saved)


RIVALS = {"linear model": {"field_f1": 0.9, "seconds": 2.0, "answers": []}}


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ({"mean": 0.1, "low": 0.05, "high": 0.15}, "the tuned model is better"),
        ({"mean": -0.1, "low": -0.15, "high": -0.05}, "it beats the tuned model"),
        ({"mean": 0.0, "low": -0.05, "high": 0.05}, "no clear difference to the tuned model"),
    ],
)
def test_the_headline_names_the_best_cheap_rival_and_who_wins(tmp_path, interval, verdict):
    files = run_files()
    baseline = files["baseline.json"] | {"rivals": RIVALS}
    evaluation = files["evaluation.json"] | {
        "rival": "linear model",
        "over_rival": {"field_f1": interval},
    }
    folder = make_run_folder(tmp_path, baseline=baseline, evaluation=evaluation)
    results = report.collect_results(folder)
    assert results["rivals"]["linear model"]["field_f1"] == 0.9
    assert "answers" not in results["rivals"]["linear model"]
    told = report.headline(results)
    assert f"(linear model, 2.0 s) reaches field F1 0.90: {verdict} (tuned minus rival" in told
    page = report.write_report(folder).read_text(encoding="utf-8")
    assert "cheap rival" in page


def test_a_run_from_before_there_were_rivals_has_none(tmp_path):
    results = report.collect_results(make_run_folder(tmp_path))
    assert results["rivals"] == {}
    assert results["rival"] is None
    assert "rival" not in report.headline(results)


def test_words_that_differ_in_case_alone_are_not_marked():
    assert report._marked_words("Replace pump", "replace PUMP now") == [
        ("replace PUMP", False),
        ("now", True),
    ]
    long = "word " * report.MAX_CHARACTERS
    *pieces, tail = report._marked_words(long, long)
    assert not any(marked for _, marked in pieces)
    assert tail[0].endswith("more characters)")
