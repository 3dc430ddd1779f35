"""The geology track: true answers, one part for each group, the same bytes from the same seed."""

import hashlib
import json
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from course_utils import chat, records
from course_utils.commands.main import command_line
from course_utils.errors import CourseError
from course_utils.facts import answers_number, parse_facts
from course_utils.tracks.geology import knowledge as geology_knowledge
from course_utils.tracks.geology import mineral_records, minerals, spectra_records
from course_utils.tracks.geology import topics as geology_topics
from course_utils.tracks.geology import track as geology

SEED = 42


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
    return {name: records.read_records(built[0] / f"{name}.jsonl") for name in geology.PARTS}


@pytest.fixture(scope="module")
def summary(built):
    return json.loads((built[0] / "summary.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def all_records(parts):
    return [record for part in parts.values() for record in part]


@pytest.fixture(scope="module")
def drafts(prepared):
    """Drafts before the split, with the wording that made them."""
    table = minerals.table()
    found = [d for m in table for d in mineral_records.mineral_drafts(m, table, SEED)]
    for material in spectra_records.materials():
        found += spectra_records.spectrum_drafts(material, SEED)
        found += spectra_records.identification_drafts(material, spectra_records.materials(), SEED)
    return found + list(geology_topics.topic_drafts(geology_knowledge.load(), SEED))


def of(drafts, *names):
    found = [d.record for d in drafts if d.template.split(":")[0] in names]
    assert len(found) > 10
    return found


# --- the track as a whole ----------------------------------------------------------------------


def test_the_build_says_what_it_made_and_ends_with_where_it_is(built, summary):
    folder, said = built
    assert said.splitlines()[-1] == f"Data: {folder}"
    assert f"{summary['kept']:,} kept" in said
    assert "overlap between the parts: 0 exact, 0 near, 0 groups" in said
    assert (folder / "track.png").read_bytes().startswith(b"\x89PNG")


def test_the_track_keeps_its_promises(summary, all_records):
    assert geology.shortfalls(summary) == []
    assert summary["kept"] == len(all_records) >= 400
    assert min(summary["kinds"].values()) >= 200
    assert set(summary["topics"]) >= {"spectra", "mixture", "sensors", "alteration", "mistakes"}


def test_a_broken_promise_is_named(summary):
    short = {**summary, "kept": 3, "overlap": {"exact": 0, "near": 2, "groups": 0}}
    assert geology.shortfalls(short) == [
        "3 records, 400 are promised",
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


def test_a_mixture_holds_only_minerals_of_its_own_part(parts):
    family = {m.spectrum.label: m.family for m in spectra_records.materials()}
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
        "import hashlib, json; from course_utils import geology;"
        f"parts = geology.build_geology({SEED}).parts;"
        "text = ''.join(json.dumps(r, ensure_ascii=False) + chr(10) for r in parts['train']);"
        "print(hashlib.sha256(text.encode()).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    written = (built[0] / "train.jsonl").read_bytes()
    assert done.stdout.split()[-1] == hashlib.sha256(written).hexdigest()


def test_another_seed_gives_other_tables():
    material = spectra_records.materials()[0]
    first, other = (
        [d.record["context"] for d in spectra_records.spectrum_drafts(material, seed)]
        for seed in (1, 2)
    )
    assert first != other


def test_records_are_short_enough_for_a_small_model(all_records, tokenizer):
    lengths = sorted(chat.count_tokens(record, tokenizer) for record in all_records)
    assert lengths[len(lengths) // 2] < 130
    assert lengths[int(0.9 * len(lengths))] < 200
    assert lengths[-1] < 256
    answers = [len(tokenizer(record["answer"])["input_ids"]) for record in all_records]
    assert max(answers) < 64


# --- true answers ------------------------------------------------------------------------------


def test_every_reference_answer_states_its_own_number(all_records):
    numeric = [record for record in all_records if record.get("facts")]
    wrong = [
        record
        for record in numeric
        if not answers_number(record["answer"], parse_facts(record["facts"])[0])
    ]
    assert len(numeric) > 1000
    assert wrong == []


def test_every_calculation_in_an_answer_is_right(all_records):
    """The working is evaluated; the printed result may differ by its last digit's rounding."""
    checked = 0
    for record in all_records:
        left, equals, right = record["answer"].rpartition(" = ")
        left = re.split(r": | = |nm, ", left)[-1]
        if not equals or not re.fullmatch(r"[\d.,x()/+\- ]+", left):
            continue  # no working was shown
        told = re.match(r"-?[\d.]+", right)[0]
        decimals = len(told.partition(".")[2])
        rounding = 0.51 * 10**-decimals
        if record["group"].startswith("mixture/"):
            rounding += 0.004  # the true fraction is told, the table has three decimals
        worked = eval(left.replace(",", "").replace("x", "*"))
        assert abs(worked - float(told)) <= rounding, record
        checked += 1
    assert checked > 500


def table_in(context):
    return {int(nm): float(v) for nm, v in re.findall(r"(\d{3,4}): (\d\.\d{3})", context)}


def test_the_lowest_band_is_the_lowest_of_the_printed_table(drafts):
    for record in of(drafts, "spectra/lowest band"):
        table = table_in(record["context"])
        assert 7 <= len(table) <= 9
        assert parse_facts(record["facts"])[0].number == min(table, key=table.get)


def test_the_depth_follows_from_the_printed_table(drafts):
    for record in of(drafts, "spectra/depth"):
        table = table_in(record["context"])
        nm = int(re.search(r"(\d+) nm", record["instruction"])[1])
        first, last = min(table), max(table)
        line = table[first] + (nm - first) / (last - first) * (table[last] - table[first])
        told = parse_facts(record["facts"])[0].number
        assert told == pytest.approx(1 - table[nm] / line, abs=0.006)


def test_a_noisy_spectrum_still_shows_what_it_is(drafts):
    noisy = [r for r in of(drafts, "spectra/identify") if "Signal-to-noise" in r["context"]]
    assert len(noisy) > 20
    for record in noisy:
        centre = float(re.findall(r"(\d+) nm", record["answer"])[1])
        table = table_in(record["context"])
        assert abs(min(table, key=table.get) - centre) <= 12


def test_a_question_with_context_has_its_answer_in_the_context(drafts):
    names = [f"alteration/{a} in context" for a in ("minerals", "setting", "conditions", "shows")]
    names += [f"mistakes/{a} in context" for a in ("cause", "cure", "symptom")]
    names += [f"preprocessing/{a} in context" for a in ("how", "omitted")]
    names += [f"unmixing/{a} in context" for a in ("meaning", "use", "limit")]
    for record in of(drafts, *names):
        assert record["answer"].rstrip(".").casefold() in record["context"].casefold()


def test_a_property_in_context_stands_there(drafts):
    for wanted in ("formula", "Mohs hardness", "specific gravity", "crystal system"):
        for record in of(drafts, f"properties/{wanted} in context"):
            value = record["answer"].split(" is ")[-1].split(" of ")[-1].rstrip(".")
            assert value.casefold() in record["context"].casefold()


def test_the_candidate_that_fits_is_the_only_one(drafts):
    printed = re.compile(r"(?:gravity |has |gravity of )(\d+\.\d\d)(?:\. C|\.$|;)")
    table = {mineral.name: mineral for mineral in minerals.table()}
    for record in of(drafts, "properties/which fits"):
        measured = float(printed.search(record["context"])[1])
        named = re.split(r"[^a-z ]+", record["context"].casefold())
        candidates = [
            m
            for name, m in table.items()
            if any(part.split()[-1:] == [name.casefold()] for part in named)
        ]
        ends = {m.name: m.specific_gravity for m in candidates}
        fitting = [n for n, (low, high) in ends.items() if low - 0.01 <= measured <= high + 0.01]
        assert len(candidates) >= 3
        assert fitting == [re.split(r"[:,]", record["answer"])[0]]


# --- minerals ----------------------------------------------------------------------------------


def test_well_known_figures_of_minerals(prepared):
    table = {mineral.name: mineral for mineral in minerals.table()}
    assert len(table) > 60
    assert (table["Quartz"].hardness, table["Quartz"].formula) == ((7, 7), "SiO2")
    assert (table["Gypsum"].hardness, table["Calcite"].specific_gravity) == ((2, 2), (2.71, 2.71))
    assert table["Kyanite"].hardness is None  # depends on the direction
    assert not {"Ruby", "Pearl", "Coral"} & set(table)


@pytest.mark.parametrize(
    ("formula", "element", "percent"),
    [
        ("Cu2(CO3)(OH)2", "Cu", 57.5),  # malachite; handbooks: 57.5 % Cu
        ("PbS", "Pb", 86.6),  # galena
        ("SnO2", "Sn", 78.8),  # cassiterite
        ("CaSO4.2H2O", "Ca", 23.3),  # gypsum
        ("FeS2", "Fe", 46.5),  # pyrite
        ("Mg3Si2O5(OH)4", "Mg", 26.3),  # serpentine
    ],
)
def test_metal_content_agrees_with_handbooks(formula, element, percent):
    assert minerals.mass_percent(formula, element) == pytest.approx(percent, abs=0.06)


@pytest.mark.parametrize("formula", ["(Mg,Fe)2SiO4", "SiO2.nH2O", "Ca3Al2(SiO4)3-x(OH)4x", ""])
def test_a_solid_solution_has_no_one_composition(formula):
    with pytest.raises(CourseError, match="not a fixed composition"):
        minerals.composition(formula)


def test_an_element_that_does_not_occur_is_named():
    with pytest.raises(CourseError, match="Fe does not occur"):
        minerals.mass_percent("PbS", "Fe")


# --- hand-written knowledge --------------------------------------------------------------------


def test_handwritten_wavelengths_agree_with_measured_spectra(prepared):
    """Within 12 nm, the spacing of the Beckman spectra and the spread among samples."""
    measured = {}
    for material in spectra_records.materials():
        centres = [feature.centre for _, feature in material.features]
        measured.setdefault(material.title.split()[-1].split("-")[-1], []).extend(centres)
    compared = 0
    for mineral in geology_knowledge.load().minerals:
        if mineral.name in measured:
            main = mineral.lines[0].nm
            assert min(abs(main - centre) for centre in measured[mineral.name]) <= 12, mineral.name
            compared += 1
    assert compared >= 15


def test_the_knowledge_has_sources_and_many_facts():
    knowledge = geology_knowledge.load()
    assert geology_knowledge.count_facts(knowledge) > 400
    entries = [entry for part in vars(knowledge).values() for entry in part]
    assert all(len(entry.source) > 15 for entry in entries)


def test_index_values_are_those_of_their_formulas():
    indices = {index.name: index for index in geology_knowledge.load().indices}
    assert indices["NDVI"].value({"B8": 0.5, "B4": 0.1}) == pytest.approx(0.4 / 0.6)
    aloh = indices["the ASTER AlOH content index"]
    assert aloh.formula == "(B5 + B7) / B6"
    assert aloh.value({"B5": 0.4, "B7": 0.5, "B6": 0.3}) == pytest.approx(3.0)


@pytest.fixture
def copied(tmp_path):
    for path in geology_knowledge.FOLDER.glob("*.yaml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("features.yaml", "nm: 2205", "nm: 22050", r"minerals\.1\.lines\.0\.nm"),
        ("mistakes.yaml", "    cure: dry", "    cures: dry", "Field required|Extra inputs"),
        ("sensors.yaml", "B4: [1600, 1700]", "B4: [1700, 1600]", "1700 is not below 1600"),
        ("indices.yaml", "[TM3, TM1]", "[TM3, TM9]", "has no band TM9"),
        ("indices.yaml", "bands: [TM3, TM1]", "bands: [TM3, TM1, TM2]", "ratio with 3 bands"),
        ("unmixing.yaml", "source: hapke1981", "source: hapke", "source 'hapke' is not listed"),
        ("alteration.yaml", "- name: skarn", "- name: greisen", "greisen is there twice"),
        ("alteration.yaml", "zones:", "areas:", "holds not `sources` and `zones`"),
        ("preprocessing.yaml", "steps:", "steps: [", "preprocessing.yaml"),
    ],
)
def test_a_mistake_in_a_knowledge_file_names_file_and_place(copied, file, old, new, message):
    text = (copied / file).read_text(encoding="utf-8")
    assert old in text
    (copied / file).write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(CourseError, match=message) as caught:
        geology_knowledge.load(copied)
    assert file in caught.value.message


# --- scores ------------------------------------------------------------------------------------

ASKED = [
    {"context": "", "instruction": "Centre?", "answer": "2208 nm.", "facts": "answer=2208 nm"},
    {"context": "", "instruction": "Cause?", "answer": "The Al-OH bond."},
]


def test_the_reference_answers_score_one():
    found = geology.scores(ASKED, [record["answer"] for record in ASKED])
    assert {found[name] for name in ("token_f1", "numeric_accuracy", "rougeL", "exact_match")} == {
        1
    }
    assert found["columns"]["numeric_accuracy"] == [1.0, None]


def test_a_wrong_number_scores_zero_and_a_working_counts():
    right = geology.scores(ASKED[:1], ["It is at 2208 nm"])
    wrong = geology.scores(ASKED[:1], ["It is at 2209 nm"])
    assert (right["numeric_accuracy"], wrong["numeric_accuracy"]) == (1, 0)
    assert wrong["token_f1"] < right["token_f1"] < 1
    assert right["exact_match"] == 0


def test_scores_without_numbers_and_without_records():
    assert geology.scores(ASKED[1:], ["the al-oh bond"])["numeric_accuracy"] is None
    assert geology.scores(ASKED[1:], ["the al-oh bond"])["exact_match"] == 1
    with pytest.raises(CourseError, match="2 records came with 1 answers"):
        geology.scores(ASKED, ["x"])
    with pytest.raises(CourseError, match="0 records"):
        geology.scores([], [])


def test_kinds_of_questions():
    assert [geology.kind_of(record) for record in ASKED] == ["numeric", "knowledge"]
    assert geology.kind_of({**ASKED[1], "context": "Kaolinite: Al-OH."}) == "context"


def test_importing_loads_no_heavy_library():
    code = (
        "import sys; from course_utils.tracks.geology import track, spectra, minerals, plots,"
        " spectra_records, mineral_records, topics; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "scipy", "pandas", "matplotlib", "torch"} & set(done.stdout.split())
