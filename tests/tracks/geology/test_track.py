"""The geology track: one part for each group, the same bytes from the same seed."""

import hashlib
import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from course_utils import chat, records, selfcheck
from course_utils.commands.main import command_line
from course_utils.drawing import figure_title
from course_utils.errors import CourseError
from course_utils.tracks.geology import plots
from course_utils.tracks.geology import track as geology
from course_utils.tracks.geology.materials import materials
from course_utils.tracks.geology.spectra_records import spectrum_drafts

SEED = 42
WRITTEN = ("train", "val", "test")


@pytest.fixture(scope="module")
def built(prepared, tmp_path_factory):
    """The folder and the output of `course data build --track geology`."""
    folder = tmp_path_factory.mktemp("geology")
    arguments = ["data", "build", "--track", "geology", "--out", str(folder), "--seed", str(SEED)]
    done = CliRunner().invoke(command_line(), arguments, catch_exceptions=False)
    assert done.exit_code == 0
    return folder, done.stdout


@pytest.fixture(scope="module")
def parts(built):
    return {name: records.read_records(built[0] / f"{name}.jsonl") for name in WRITTEN}


@pytest.fixture(scope="module")
def summary(built):
    return json.loads((built[0] / "summary.json").read_text(encoding="utf-8"))


# --- the track as a whole ----------------------------------------------------------------------


def test_answers_that_understand_nothing_are_not_paid(parts):
    results = selfcheck.check(parts, sample=60)
    print(selfcheck.table(results))
    assert selfcheck.verdict(results) == "nothing can be fooled"


def test_the_build_says_what_it_made_and_ends_with_where_it_is(built, summary):
    folder, said = built
    assert said.splitlines()[-1] == f"Data: {folder}"
    assert f"{summary['kept']:,} kept" in said
    assert f"{summary['reserve']['records']:,} in reserve, not written" in said
    assert "overlap between the parts: 0 exact, 0 near, 0 groups" in said
    assert (folder / "track.png").read_bytes().startswith(b"\x89PNG")


def test_the_track_keeps_its_promises(summary, all_records):
    assert geology.shortfalls(summary) == []
    assert summary["kept"] + summary["reserve"]["records"] == len(all_records)
    assert summary["kept"] > 2700
    assert min(summary["kinds"].values()) >= 200
    assert set(summary["topics"]) >= {"spectra", "mixture", "sensors", "alteration", "mistakes"}


def test_a_broken_promise_is_named(summary):
    reserve = {**summary["reserve"], "share": 0.02}
    overlap = {"exact": 0, "near": 2, "groups": 0}
    short = {**summary, "kept": 3, "overlap": overlap, "reserve": reserve}
    assert geology.shortfalls(short) == [
        "3 records, 400 are promised",
        "2.0% in reserve, 8% are promised",
        "overlap between the parts: 2 near",
    ]


def test_every_record_follows_the_schema_and_names_source_and_group(all_records):
    assert [p for record in all_records for p in records.validate(record, "geology")] == []
    assert all(record["source"] and record["group"] for record in all_records)


def test_no_group_and_no_question_is_in_two_parts(parts, summary):
    homes = {}
    for name, part in parts.items():
        for record in part:
            homes.setdefault(record["group"], set()).add(name)
    assert {len(home) for home in homes.values()} == {1}
    assert summary["overlap"]["exact"] == summary["overlap"]["near"] == 0


def test_a_reserve_of_whole_groups_is_never_written(built, summary, track, parts):
    folder, _ = built
    assert {path.stem for path in folder.glob("*.jsonl")} == set(WRITTEN)
    kept = track.parts["reserve"]
    assert summary["reserve"]["records"] == len(kept)
    assert summary["reserve"]["share"] > 0.08
    written = {record["group"] for part in parts.values() for record in part}
    assert not written & {record["group"] for record in kept}
    assert {geology.kind_of(record) for record in kept} == set(geology.KINDS)


def test_a_mixture_holds_only_minerals_of_its_own_part(parts):
    family = {m.spectrum.label: m.family for m in materials()}
    homes = {r["group"]: name for name, part in parts.items() for r in part}
    mixtures = 0
    for name, part in parts.items():
        for record in part:
            if record["source"].startswith("computed mixture of "):
                labels = [label for label in family if label in record["source"]]
                assert {homes[f"mineral/{family[label]}"] for label in labels} == {name}
                mixtures += 1
    assert mixtures > 100


def test_val_and_test_are_tenths_with_every_kind_of_question(parts, summary):
    for name in ("val", "test"):
        assert 0.07 < len(parts[name]) / summary["kept"] < 0.13
        assert min(summary["kinds_by_part"][name].values()) > 10


def test_the_same_seed_gives_the_same_bytes_in_another_process(built):
    """Another hash seed too: no set or dictionary order may leak into the data."""
    code = (
        "import hashlib, json; from course_utils.tracks.geology import track as geology;"
        f"parts = geology.build_geology({SEED}).parts;"
        "text = ''.join(json.dumps(r, ensure_ascii=False) + chr(10) for r in parts['train']);"
        "print(hashlib.sha256(text.encode()).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    written = (built[0] / "train.jsonl").read_bytes()
    assert done.stdout.split()[-1] == hashlib.sha256(written).hexdigest()


def test_the_figure_states_how_many_records_can_be_checked(summary):
    numeric = summary["kinds"]["numeric"] / summary["kept"]
    title = figure_title(plots.plot_track(summary)).replace("\u00a0", " ")
    assert title.startswith(f"{summary['kept']:,} records on {len(summary['topics'])} topics")
    assert f"{numeric:.0%} ask for a number" in title
    with pytest.raises(CourseError, match="no record was counted"):
        plots.plot_track({})


def test_another_seed_gives_other_tables():
    material = materials()[0]
    first, other = (
        [d.record["context"] for d in spectrum_drafts(material, seed)] for seed in (1, 2)
    )
    assert first != other


def test_records_are_short_enough_for_a_small_model(all_records, tokenizer):
    lengths = sorted(chat.count_tokens(record, tokenizer) for record in all_records)
    assert lengths[len(lengths) // 2] < 130
    assert lengths[int(0.9 * len(lengths))] < 200
    assert lengths[-1] < 256
    answers = [len(tokenizer(record["answer"])["input_ids"]) for record in all_records]
    assert max(answers) < 64


def test_kinds_of_questions():
    number = {"context": "", "answer": "2208 nm", "form": "number and unit only"}
    cause = {"context": "", "answer": "Al-OH", "form": "name only"}
    assert geology.kind_of(number) == "numeric"
    assert geology.kind_of(cause) == "knowledge"
    assert geology.kind_of({**cause, "context": "Kaolinite: Al-OH."}) == "context"


def test_importing_loads_no_heavy_library():
    code = "import sys; from course_utils.tracks.geology import plots, track; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "scipy", "pandas", "matplotlib", "torch"} & set(done.stdout.split())
