"""Blind review by people: nothing gives the tuned side away, and the sums are right."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

os.environ.setdefault("OMP_NUM_THREADS", "1")

from course_utils import drawing, kit
from course_utils.assignments import pages
from course_utils.assignments.review.answers import answers_document, answers_name, read_answers
from course_utils.assignments.review.folder import (
    read_key,
    render_page,
    review_import,
    review_make,
    save_review,
)
from course_utils.assignments.review.making import Review, make_review
from course_utils.assignments.review.report import plot_review, summary_table, write_summary
from course_utils.assignments.review.summary import CATEGORIES, agreement, finding, summarise
from course_utils.assignments.review.widget import review_widget
from course_utils.errors import CourseError
from course_utils.files import write_json_atomic
from course_utils.progress import PROGRESS_FILE

ATTACK = (
    "</script><script>document.title='broken'</script><img src=x onerror=alert(1)> \u2028 \ud800"
)
TASKS = ("understanding", "report", "qa")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")


def record(number: int, task: str = "qa", **changes: str) -> dict:
    texts = {"instruction": f"Do {number}.", "input": f"Pump {number}", "output": f"ref {number}"}
    return {**texts, "task": task, **changes}


def made(size: int = 12, **options) -> Review:
    """A review of `size` records of three tasks; the words "alpha" and "omega" tell the models."""
    records = [record(number, TASKS[number % 3]) for number in range(size)]
    base = [f"alpha {number}" for number in range(size)]
    tuned = [f"omega {number}" for number in range(size)]
    return make_review(records, base, tuned, **{"seed": 1, "title": "Pumps"} | options)


def small_key(sides: str = "aabb", task: str = "qa") -> dict:
    items = [f"pair-{number:03d}" for number in range(1, len(sides) + 1)]
    return {
        **{"review": "abc", "title": "Pumps", "records": 9, "identical": {"qa": 2}},
        "tuned": dict(zip(items, sides, strict=True)),
        "tasks": dict.fromkeys(items, task),
    }


def judged(reviewer: str, choices: str | list, key: dict) -> dict:
    """Answers in the form that read_answers returns: one choice for each item, in order."""
    pairs = zip(key["tuned"], choices, strict=False)
    kept = {item: {"choice": choice, "comment": ""} for item, choice in pairs if choice != "-"}
    return {"reviewer": reviewer, "file": f"{reviewer}.json", "answers": kept}


def answer_file(path: Path, **changes) -> Path:
    content = {
        **{"kind": "review-answers", "version": 1, "review": "abc", "title": "Pumps"},
        **{"reviewer": "Mia", "open": 0, "saved": "2026-01-01T00:00:00+00:00"},
        "answers": {"pair-001": {"choice": "a", "comment": "clear"}},
    }
    return write_json_atomic(path, content | changes)


# ---------------------------------------------------------------- making


def test_each_item_shows_both_answers_and_the_key_says_which_is_tuned():
    found = made()
    for item in found.items:
        side = found.key["tuned"][item["id"]]
        assert item[f"answer_{side}"].startswith("omega")
        assert item[f"answer_{'b' if side == 'a' else 'a'}"].startswith("alpha")


def test_the_coin_falls_on_both_sides():
    sides = list(made(200, count=200).key["tuned"].values())
    assert 70 <= sides.count("a") <= 130  # 100 ± 4.2 standard deviations of a fair coin


def test_same_seed_same_review_and_another_seed_another_one():
    assert made() == made()
    assert made().id != made(seed=2).id


def test_identical_answers_are_left_out_and_counted():
    records = [record(0), record(1, "report"), record(2)]
    found = make_review(records, ["same", "x", "other"], [" same\n", "x", "y"], seed=0, title="t")
    assert [item["input"] for item in found.items] == ["Pump 2"]
    assert found.key["identical"] == {"qa": 1, "report": 1}
    assert found.key["records"] == 3


def test_balanced_draw_gives_each_task_its_share_as_far_as_it_has_it():
    records = [record(n, task) for n, task in enumerate(["qa"] * 20 + ["report"] * 20 + ["x"] * 2)]
    base, tuned = ["a"] * 42, ["b"] * 42
    found = make_review(records, base, tuned, seed=0, title="t", count=10)
    tasks = [item["task"] for item in found.items]
    assert {task: tasks.count(task) for task in tasks} == {"qa": 4, "report": 4, "x": 2}


def test_a_count_above_the_pairs_takes_them_all_once():
    found = made(5, count=50)
    assert sorted(item["input"] for item in found.items) == [f"Pump {n}" for n in range(5)]


def test_references_can_be_left_out():
    assert {item["reference"] for item in made(references=False).items} == {None}
    assert made().items[0]["reference"].startswith("ref")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"records": []}, "0 records came with 1"),
        ({"records": [], "base_answers": [], "tuned_answers": []}, "no records"),
        ({"count": 0}, "count is 0"),
        ({"title": " "}, "no title"),
        ({"tuned_answers": [None]}, "tuned answer to record 1 is NoneType"),
        ({"tuned_answers": ["x"]}, "same answer to all 1 records"),
        ({"records": [{"instruction": "i"}]}, "record 1 has no text 'input'"),
        ({"records": [record(0, input=7)]}, "record 1 has no text 'input'"),
    ],
)
def test_what_cannot_be_reviewed_is_named_with_a_cure(changes, said):
    given_ = {"records": [record(0)], "base_answers": ["x"], "tuned_answers": ["y"]}
    with pytest.raises(CourseError, match=re.escape(said)) as caught:
        make_review(**{**given_, "seed": 0, "title": "t", **changes})
    assert caught.value.cure


# ---------------------------------------------------------------- what the reviewer gets


def test_no_file_for_reviewers_changes_with_what_is_tuned(tmp_path):
    """The two models swapped and every coin turned: the reviewer's files are the same bytes."""
    found = made()
    turned = {item: "b" if side == "a" else "a" for item, side in found.key["tuned"].items()}
    swapped = Review(found.id, found.title, found.items, found.key | {"tuned": turned})
    save_review(found, tmp_path / "one")
    save_review(swapped, tmp_path / "two")
    for name in ("review.json", "review.html"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_no_file_for_reviewers_holds_the_seed_or_names_a_model(tmp_path):
    save_review(made(seed=86420975), tmp_path)
    for name in ("review.json", "review.html"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert "86420975" not in text
        assert "tuned" not in text
    assert "86420975" not in repr(made(seed=86420975).public())
    assert "tuned" not in repr(made())


class Page(HTMLParser):
    """The tags of a page and what its data block holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.data, self.inside = [], "", False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.inside = dict(attributes).get("id") == "data"

    def handle_data(self, data):
        self.data += data if self.inside else ""


def attacked() -> Review:
    hostile = record(0, ATTACK, instruction=ATTACK, input=ATTACK, output=ATTACK)
    return make_review([hostile], [ATTACK + "1"], [ATTACK + "2"], seed=0, title=ATTACK)


def test_hostile_texts_stay_data_and_arrive_whole(tmp_path):
    found = attacked()
    save_review(found, tmp_path)
    page = Page((tmp_path / "review.html").read_text(encoding="utf-8"))
    tags = [tag for tag, _ in page.tags]
    assert tags.count("script") == 2
    assert "img" not in tags
    assert json.loads(page.data)["items"] == list(found.items)
    assert "<script>document" in found.items[0]["input"]


def test_the_page_asks_for_nothing_and_labels_every_control():
    page = Page(render_page(made()))
    links = [a.get("src") or a.get("href") for _, a in page.tags if "src" in a or "href" in a]
    assert links == ["data:,"]
    assert not re.search(r"https?://|@import|url\(", render_page(made()))
    labelled = {a.get("for") for tag, a in page.tags if tag == "label"}
    for tag, attributes in page.tags:
        if tag in ("input", "textarea"):
            assert attributes["id"] in labelled or attributes.get("aria-label")


def test_a_folder_with_another_review_is_not_overwritten(tmp_path):
    save_review(made(), tmp_path)
    save_review(made(), tmp_path)
    with pytest.raises(CourseError, match="key of another review"):
        save_review(made(seed=2), tmp_path)
    assert read_key(tmp_path) == made().key


@pytest.mark.parametrize("content", ["[]", "{}", '{"tuned": {"x": "c"}}', "{broken", "\x00"])
def test_a_key_that_is_none_is_an_error(tmp_path, content):
    (tmp_path / "review_key.json").write_text(content, encoding="utf-8")
    with pytest.raises(CourseError, match=r"review_key\.json"):
        read_key(tmp_path)


def test_a_missing_key_is_an_error(tmp_path):
    with pytest.raises(CourseError, match=r"review_key\.json: there is no such file"):
        read_key(tmp_path)


# ---------------------------------------------------------------- the page in a browser


def run_page(tmp_path: Path, found: Review, script: str, before: str = "") -> dict:
    """Open the page in headless Chromium, run `script` on it, return what it put in `seen`."""
    page = render_page(found)
    tag = f'<script nonce="{found.id}">'
    tail = f'{tag}const seen = {{}}; {script}; document.title = "SEEN" + JSON.stringify(seen);'
    page = page.replace("</body>", f"{tail}</script></body>")
    page = page.replace("<main>", f"{tag}{before}</script><main>")
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    quiet = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update"]
    quiet += ["--disable-background-networking", "--disable-sync", "--no-sandbox"]
    address = (tmp_path / "page.html").as_uri()
    command = [CHROMIUM, "--headless", *quiet, f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [*command, "--dump-dom", address], capture_output=True, text=True, timeout=60, check=False
    )
    title = re.search(r"<title>SEEN(.*?)</title>", done.stdout, re.DOTALL)
    assert title, done.stdout[-2000:] + done.stderr[-2000:]
    return json.loads(title[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


PRESS = """
const press = key => el("place").dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
const start = who => { el("name").value = who; el("form").requestSubmit(); };
"""
in_browser = pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")


@in_browser
def test_the_page_takes_choices_by_key_and_by_click_and_its_file_can_be_imported(tmp_path):
    found = made(3)
    script = """
    start("  Mia   O'Brien "); press("2"); press("ArrowRight"); press("4");
    el("comment").value = 'no "unit" <b>'; el("comment").dispatchEvent(new Event("input"));
    el("next").click(); press("ArrowRight"); seen.left = el("left").textContent;
    el("return").click(); seen.place = el("place").textContent;
    el("back").click(); seen.comment = el("comment").value; seen.pressed =
      [...el("choices").children].map(b => b.getAttribute("aria-pressed"));
    seen.name = fileName(); seen.text = text(); seen.scripts = document.scripts.length;
    """
    seen = run_page(tmp_path, found, PRESS + script)
    assert seen["left"].startswith("1 pair of 3 is open.")
    assert seen["place"] == "Pair 3 of 3"
    assert seen["comment"] == 'no "unit" <b>'
    assert seen["pressed"] == ["false", "false", "false", "true"]
    assert seen["name"] == answers_name(found.title, "Mia O'Brien")
    sent = tmp_path / seen["name"]
    sent.write_text(seen["text"], encoding="utf-8")
    (answers,) = read_answers([sent], found.key)
    assert answers["reviewer"] == "Mia O'Brien"
    assert [answer["choice"] for answer in answers["answers"].values()] == ["b", "unusable"]


@in_browser
def test_without_storage_the_page_works_and_says_that_nothing_is_kept(tmp_path):
    before = "Object.defineProperty(window, 'localStorage', {get() { throw new Error('no'); }});"
    script = 'seen.note = el("storage").textContent; start("Mia"); press("1"); seen.open = text();'
    seen = run_page(tmp_path, made(3), PRESS + script, before)
    assert "keeps nothing" in seen["note"]
    assert json.loads(seen["open"])["open"] == 2


@in_browser
def test_a_reviewer_comes_back_to_kept_answers_and_another_one_starts_afresh(tmp_path):
    script = """
    start("Mia"); press("1"); startAs("Jo"); seen.jo = openItems().length;
    startAs("MIA"); seen.mia = openItems().length;
    resume("{broken"); seen.problem = el("problem").hidden;
    """
    seen = run_page(tmp_path, made(3), PRESS + script)
    assert seen == {"jo": 3, "mia": 2, "problem": False}


@in_browser
def test_hostile_texts_run_nothing_in_the_browser(tmp_path):
    script = 'start("Mia"); seen.input = el("input").textContent; seen.img = document.images.length'
    seen = run_page(tmp_path, attacked(), PRESS + script)
    assert seen["img"] == 0
    assert seen["input"].startswith("</script><script>document.title")


# ---------------------------------------------------------------- reading answers


def test_a_file_is_read_and_open_items_are_left_out(tmp_path):
    kept = {"pair-001": {"choice": "b", "comment": " fine "}, "pair-002": {"choice": None}}
    path = answer_file(tmp_path / "mia.json", answers=kept)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())  # saved again by a Windows editor
    expected = {"pair-001": {"choice": "b", "comment": "fine"}}
    assert read_answers([path], small_key()) == [
        {"reviewer": "Mia", "file": str(path), "answers": expected}
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"review": "zzz"}, "belong to the review 'zzz'"),
        ({"answers": {"pair-099": {"choice": "a"}}}, "no item 'pair-099'"),
        ({"answers": {"pair-001": {"choice": "c"}}}, "choice 'c'"),
        ({"answers": {"pair-001": {"choice": ["a"]}}}, "choice ['a']"),
        ({"answers": {"pair-001": "a"}}, "choice 'a'"),
        ({"answers": {"pair-001": None}}, "choice None"),
        ({"answers": ["a"]}, "holds no answers"),
        ({"reviewer": "  "}, "whose answers"),
        ({"reviewer": 3}, "whose answers"),
        ({"kind": "review"}, "not a file of answers"),
    ],
)
def test_a_wrong_answer_file_is_named_with_a_cure(tmp_path, changes, said):
    path = answer_file(tmp_path / "mia.json", **changes)
    with pytest.raises(CourseError, match=re.escape(said)) as caught:
        read_answers([path], small_key())
    assert str(path) in caught.value.message
    assert caught.value.cure


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not readable as JSON (line 1)"),
        (b'{"kind":\n"review', "not readable as JSON (line 2)"),
        (b"[" * 100_000, "not readable as JSON"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8"),
        (b"[]", "not a file of answers"),
        (None, "no such file"),
    ],
)
def test_an_unreadable_file_is_named(tmp_path, content, said):
    path = tmp_path / "mia.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CourseError, match=re.escape(f"{path}: ")) as caught:
        read_answers([path], small_key())
    assert said in caught.value.message


def test_a_folder_or_no_file_at_all_is_an_error(tmp_path):
    with pytest.raises(CourseError, match=re.escape(str(tmp_path))):
        read_answers([tmp_path], small_key())
    with pytest.raises(CourseError, match="no file with answers"):
        read_answers([], small_key())


def test_two_files_of_one_reviewer_are_an_error(tmp_path):
    first = answer_file(tmp_path / "one.json")
    second = answer_file(tmp_path / "two.json", reviewer=" MIA ")
    with pytest.raises(CourseError, match=r"two\.json: a second file .*one\.json"):
        read_answers([first, second], small_key())


# ---------------------------------------------------------------- sums


def test_kappa_of_two_categories_by_hand():
    """50 items, 20 + 15 alike: raw 0.7; chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5; kappa 0.2 / 0.5."""
    first = ["tuned"] * 25 + ["base"] * 25
    second = ["tuned"] * 20 + ["base"] * 5 + ["tuned"] * 10 + ["base"] * 15
    found = agreement(first, second)
    assert found["n"] == 50
    assert found["raw"] == pytest.approx(0.7)
    assert found["kappa"] == pytest.approx(0.4)


def test_kappa_of_four_categories_by_hand():
    """10 items, 8 alike; chance (4*3 + 3*3 + 2*2 + 1*2) / 100 = 0.27; kappa 0.53 / 0.73."""
    first = ["tuned"] * 4 + ["base"] * 3 + ["equal"] * 2 + ["unusable"]
    second = ["tuned", "tuned", "tuned", "base", "base", "base", "unusable", "equal", "equal"]
    found = agreement(first, [*second, "unusable"])
    assert found["raw"] == pytest.approx(0.8)
    assert found["kappa"] == pytest.approx(0.53 / 0.73)


def test_kappa_below_chance_is_negative():
    assert agreement(["tuned", "base"], ["base", "tuned"])["kappa"] == pytest.approx(-1)


def test_kappa_is_undefined_when_both_are_constant_and_says_why():
    found = agreement(["tuned"] * 3, ["tuned"] * 3)
    assert found["kappa"] is None
    assert found["raw"] == 1
    assert "both always chose 'tuned better'" in found["reason"]
    assert agreement(["tuned"] * 3, ["base"] * 3)["kappa"] == 0
    assert agreement([], [])["reason"] == "no item was judged by both"


CATEGORY = st.sampled_from(list(CATEGORIES))


@given(st.lists(st.tuples(CATEGORY, CATEGORY), min_size=1, max_size=20))
def test_kappa_is_symmetric_and_at_most_the_raw_agreement(pairs):
    first, second = zip(*pairs, strict=True)
    one, two = agreement(first, second), agreement(second, first)
    assert one["kappa"] == pytest.approx(two["kappa"]) if one["kappa"] is not None else True
    assert one["kappa"] is None or -1 <= one["kappa"] <= one["raw"] + 1e-12


def test_summary_counts_wins_by_the_key():
    """Sides a a b b: choosing a, b, b, equal is win, loss, win, tie; ties as half: 2.5 of 4."""
    key = small_key("aabb")
    pooled = summarise(key, [judged("Mia", ["a", "b", "b", "equal"], key)])["pooled"]
    counts = {name: pooled[name] for name in ("judged", *CATEGORIES)}
    assert counts == {"judged": 4, "tuned": 2, "equal": 1, "unusable": 0, "base": 1}
    assert pooled["win_rate"]["mean"] == pytest.approx(2 / 3)
    assert pooled["win_rate_half_ties"]["mean"] == pytest.approx(2.5 / 4)


def test_both_unusable_counts_half_and_decides_nothing():
    key = small_key("ab")
    pooled = summarise(key, [judged("Mia", ["unusable", "equal"], key)])["pooled"]
    assert pooled["win_rate"] is None
    assert pooled["win_rate_half_ties"] == {"mean": 0.5, "low": 0.5, "high": 0.5}


def test_the_bootstrap_draws_items_so_a_second_equal_reviewer_narrows_nothing():
    key = small_key("a" * 20)
    choices = ["a"] * 12 + ["b"] * 8
    one = summarise(key, [judged("Mia", choices, key)])["pooled"]
    two = summarise(key, [judged(n, choices, key) for n in ("Mia", "Jo")])["pooled"]
    assert two["win_rate_half_ties"] == one["win_rate_half_ties"]
    width = {n: r["win_rate"]["high"] - r["win_rate"]["low"] for n, r in (("1", one), ("2", two))}
    assert width["2"] < width["1"]


def test_the_bootstrap_interval_is_near_the_normal_one_and_seeded():
    """60 wins of 100: 0.6 ± 1.96 * sqrt(0.24 / 100) = 0.504 to 0.696."""
    key = small_key("a" * 100)
    answers = [judged("Mia", ["a"] * 60 + ["b"] * 40, key)]
    found = summarise(key, answers, seed=3)["pooled"]["win_rate_half_ties"]
    assert found["low"] == pytest.approx(0.504, abs=0.015)
    assert found["high"] == pytest.approx(0.696, abs=0.015)
    assert summarise(key, answers, seed=3)["pooled"]["win_rate_half_ties"] == found


def test_rows_by_task_and_by_reviewer_add_up():
    key = small_key("aabb")
    key["tasks"] |= {"pair-003": "report", "pair-004": "report"}
    answers = [judged("Mia", "aaaa", key), judged("Jo", "b-b-", key)]
    found = summarise(key, answers)
    assert {n: (r["tuned"], r["base"]) for n, r in found["tasks"].items()} == {
        "qa": (2, 1),
        "report": (1, 2),
    }
    assert {n: (r["tuned"], r["base"]) for n, r in found["reviewers"].items()} == {
        "Mia": (2, 2),
        "Jo": (1, 1),
    }
    assert found["sides"] == {"a": 4, "b": 2}


def test_agreement_takes_only_the_common_items():
    key = small_key("aaaa")
    answers = [judged("Mia", "aab-", key), judged("Jo", "-abb", key), judged("Al", "---a", key)]
    pairs = {tuple(p["reviewers"]): p for p in summarise(key, answers)["agreement"]}
    assert pairs["Mia", "Jo"]["n"] == 2
    assert pairs["Mia", "Jo"]["kappa"] == pytest.approx(1)
    assert pairs["Mia", "Al"]["kappa"] is None
    assert pairs["Jo", "Al"]["kappa"] == 0


def test_nothing_judged_is_an_error():
    key = small_key()
    with pytest.raises(CourseError, match="every pair is still open"):
        summarise(key, [judged("Mia", "----", key)])


# ---------------------------------------------------------------- what is said about it


def finding_of(choices: list[str], sides: str) -> str:
    key = small_key(sides)
    return finding(summarise(key, [judged("Mia", choices, key)]))


def test_the_finding_claims_a_preference_only_when_the_intervals_exclude_a_half():
    assert finding_of(["a"] * 9 + ["b"], "a" * 10) == (
        "One reviewer prefers the tuned model: it wins 90 % of 10 decided judgements "
        "(95 % interval 60 to 98 %)"
    )
    assert "prefers the base model: the tuned one wins 10 %" in finding_of(
        ["b"] * 9 + ["a"], "a" * 10
    )
    assert finding_of(["a", "a", "b"], "aaa").startswith("No clear preference: the tuned model")
    assert "no answer better than the other in 2" in finding_of(["equal", "unusable"], "ab")


def full_summary() -> dict:
    key = small_key("ab" * 6)
    key["tasks"] |= {"pair-001": "report", "pair-002": "report"}
    answers = [judged("Mia [b]", "ab" * 6, key), judged("Jo", ["a"] * 11 + ["equal"], key)]
    answers[0]["answers"]["pair-001"]["comment"] = "<img src=x> | *bold*\n# head"
    return summarise(key, answers)


def test_the_table_fits_80_columns_and_holds_every_row():
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=80).print(summary_table(full_summary()))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in out.getvalue()
    text = " ".join(out.getvalue().split())
    for part in ("all judgements 24", "Mia [b] 12", "Jo 12", "report 4", "kappa"):
        assert part in text


def test_the_written_summary_is_whole_and_its_markdown_holds_no_markup_of_people(tmp_path):
    path = write_summary(full_summary(), tmp_path)
    text = path.read_text(encoding="utf-8")
    assert path.name == "human_review.md"
    assert "<img" not in text
    assert r"\| \*bold\* \# head" in text
    assert "2 of 9 records had the same answer" in text
    saved = json.loads((tmp_path / "human_review.json").read_text(encoding="utf-8"))
    assert saved["pooled"]["judged"] == 24
    assert saved["finding"] == finding(full_summary())
    path.write_text(pages.MARK.sub("", text), encoding="utf-8")  # as an earlier kit wrote it
    assert write_summary(full_summary(), tmp_path).read_text(encoding="utf-8") == text


def test_the_figure_states_the_finding_and_shows_each_row():
    figure = plot_review(full_summary())
    assert drawing.figure_title(figure) == finding(full_summary())
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[0] == "all judgements\n24 judged"
    assert labels[1:3] == ["Mia [b]\n12 judged", "Jo\n12 judged"]
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_the_figure_of_ties_alone_can_be_drawn():
    key = small_key("ab")
    summary = summarise(key, [judged("Mia", ["equal", "unusable"], key)])
    assert "no answer better" in drawing.figure_title(plot_review(summary))


# ---------------------------------------------------------------- from a run folder and back


def predictions(size: int = 4) -> list[dict]:
    rows = [record(number, TASKS[number % 3]) for number in range(size)]
    return [
        {**row, "reference": row["output"], "document": "x", "base": "no", "tuned": f"yes {n}"}
        for n, row in enumerate(rows)
    ]


@pytest.mark.parametrize("given_folder", ["sub", "sub/run"])
def test_review_make_reads_the_predictions_of_a_submission(tmp_path, given_folder):
    content = {"tasks": {}, "predictions": predictions()}
    write_json_atomic(tmp_path / "sub" / "run" / "evaluation.json", content)
    found = review_make(tmp_path / given_folder, tmp_path / "out", count=3, seed=5)
    assert found.title == "sub"
    assert len(found.items) == 3
    names = ["review.html", "review.json", "review_key.json"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"tasks": {}}, 'no "predictions"'),
        ({"predictions": []}, 'no "predictions"'),
        ([], 'no "predictions"'),
        (
            {"predictions": [{**predictions()[0], "tuned": None}]},
            "prediction 1 has no text 'tuned'",
        ),
        ({"predictions": ["x"]}, "bare answers, and data/test.jsonl is not beside it"),
        (None, "no such file"),
    ],
)
def test_an_evaluation_without_predictions_is_named(tmp_path, content, said):
    if content is not None:
        write_json_atomic(tmp_path / "evaluation.json", content)
    with pytest.raises(CourseError, match=re.escape(said)) as caught:
        review_make(tmp_path, tmp_path / "out", count=3, seed=0)
    assert "evaluation.json" in caught.value.message


def test_review_import_writes_the_summary_beside_the_key(tmp_path):
    found = made(6)
    save_review(found, tmp_path)
    answers = {item: {"choice": side, "comment": ""} for item, side in found.key["tuned"].items()}
    sent = answers_document(found, "Mia", answers)
    summary = review_import(tmp_path, [write_json_atomic(tmp_path / "mia.json", sent)])
    assert summary["pooled"]["tuned"] == 6
    assert "(human_review.png)" in (tmp_path / "human_review.md").read_text(encoding="utf-8")
    assert (tmp_path / "human_review.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "human_review.json").is_file()


# ---------------------------------------------------------------- in a notebook


def test_the_widget_saves_what_the_page_would(tmp_path):
    found = made(3)
    panel = review_widget(found, tmp_path).panel
    panel.name.value, panel.choice.value, panel.comment.value = "Mia", "a", "clear"
    panel.forward.click()
    assert (panel.pair.value, panel.choice.value, panel.comment.value) == (2, None, "")
    panel.choice.value = "unusable"
    panel.back.click()
    assert (panel.choice.value, panel.comment.value) == ("a", "clear")
    panel.save.click()
    assert "1 of 3 pairs are open" in panel.status.value
    (answers,) = read_answers([tmp_path / "review_Pumps_Mia.json"], found.key)
    kept = {"choice": "a", "comment": "clear"}, {"choice": "unusable", "comment": ""}
    assert tuple(answers["answers"].values()) == kept


def test_the_widget_asks_for_a_name_and_tells_what_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    panel = review_widget(made(3), tmp_path / "file").panel
    panel.save.click()
    assert "type your name first" in panel.status.value
    panel.name.value = "Mia"
    panel.save.click()
    assert "not written" in panel.status.value


def test_the_widget_escapes_the_texts_and_its_state_does_not_give_the_side_away(tmp_path):
    box = review_widget(attacked(), tmp_path)
    assert "<script>" not in box.panel.shown.value + box.twin
    states = [str(child.get_state()) for child in (box, *box.children)]
    assert "tuned" not in "".join(states)


def test_an_executed_copy_shows_the_first_pairs():
    bundle = review_widget(made(5), static=True)._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" not in bundle
    assert bundle["text/html"].count("Instruction") == 3
    assert "The first 3 of 5 pairs" in bundle["text/html"]
    live = review_widget(made(5), static=False)._repr_mimebundle_()
    assert live["text/html"] == bundle["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in live


def test_under_course_run_the_widget_is_static(monkeypatch, tmp_path):
    monkeypatch.setenv(PROGRESS_FILE, str(tmp_path / "progress"))
    assert review_widget(made(3)).static


def test_importing_the_module_loads_no_widget_and_no_figure_library():
    code = "import sys, course_utils.assignments.review\n"
    code += "print({'ipywidgets', 'rich.table'} & set(sys.modules))"
    root = kit.ROOT
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
