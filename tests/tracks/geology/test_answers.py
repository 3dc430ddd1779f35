"""The names, yes and no, and sentences of the geology track are true, and only they score.

Numbers are worked out again in test_recomputed_geology.py.
"""

import re
from collections import Counter

import pytest

from course_utils import scoring
from course_utils.facts import parse_facts
from course_utils.schemas import QUESTION_FORMS
from course_utils.tracks.geology import minerals, spectra
from course_utils.tracks.geology import track as geology
from course_utils.tracks.geology.drafts import SAY, rivals, rounded
from course_utils.tracks.geology.knowledge import load, plain


def of(drafts, *names):
    found = [d.record for d in drafts if d.template.split(":")[0] in names]
    assert len(found) >= 10
    return found


def table_in(context):
    return {int(nm): float(v) for nm, v in re.findall(r"(\d{3,4}): (\d\.\d{3})", context)}


def bands_in(context):
    found = re.findall(r"(?<![\w-])((?:SWIR-|TM|B)\d+[AN]?) (\d\.\d{3})", context)
    return {name: float(value) for name, value in found}


# --- One form, told in the question, with its facts ----------------------------------------------


def test_every_record_has_one_of_the_four_forms_and_facts(all_records):
    assert {record["form"] for record in all_records} == set(QUESTION_FORMS)
    assert all(parse_facts(record["facts"]) for record in all_records)


def test_every_question_announces_its_form(all_records):
    said = {
        "number and unit only": r"[Nn]umber|figure",
        "name only": r"[Nn]ame|formula|property|[Jj]ust the word|no sentence",
        "yes or no, then the reason": r"[Yy]es or no",
        "one sentence": r"sentence",
    }
    for record in all_records:
        assert re.search(said[record["form"]], record["instruction"]), record["instruction"]


def test_each_form_is_announced_in_several_ways():
    announced = SAY["announcement"]
    assert all(len(wordings) >= 3 for wordings in announced.values())
    assert sum(map(len, announced.values())) >= 30


def test_a_bare_answer_is_the_fact_and_nothing_else(all_records):
    for record in all_records:
        (fact, *more) = parse_facts(record["facts"])
        if record["form"] == "name only":
            assert record["answer"].split("; ") == list(fact.values)
        if record["form"] == "number and unit only":
            assert re.sub(r" ± \S+", "", record["facts"]) == f"answer={record['answer']}"


def test_every_name_has_rivals_and_none_of_them_is_right(all_records):
    for record in all_records:
        fact = parse_facts(record["facts"])[0]
        if fact.number is None and record["form"] != "yes or no, then the reason":
            assert fact.others or record["form"] == "one sentence", record
            right = " ".join(fact.values).casefold()
            assert not any(other.casefold() in right for other in fact.others)


def test_the_right_words_of_a_sentence_are_not_given_away_by_the_question(all_records):
    given = [
        (record["instruction"], fact.value)
        for record in all_records
        if record["form"] == "one sentence"
        for fact in parse_facts(record["facts"])
        if re.search(rf"(?<!\w){re.escape(fact.value)}(?!\w)", record["instruction"], re.I)
    ]
    assert given == []


def test_a_wavelength_from_memory_may_lie_ten_nanometres_off(drafts):
    for record in of(drafts, "features/wavelength", "features/centre"):
        assert record["context"] == ""
        fact = parse_facts(record["facts"])[0]
        assert (fact.within, fact.unit) in (("10", "nm"), ("0.01", "µm"))
        assert scoring.fact_match(record["answer"], record)
        too_far = fact.number + 1.5 * float(fact.within)
        assert not scoring.fact_match(f"{too_far} {fact.unit}", record)


def test_a_wavelength_is_asked_for_with_the_cause_of_the_band(drafts):
    """Nontronite has two strong bands, at 1910 and 2288 nm: which, says the Fe-OH bond."""
    causes = {plain(line.cause) for mineral in load().minerals for line in mineral.lines}
    for record in of(drafts, "features/wavelength"):
        assert any(cause in record["instruction"] for cause in causes), record["instruction"]


def test_a_density_has_a_unit_and_a_specific_gravity_has_none(drafts):
    for record in of(drafts, "properties/weighing"):
        assert ("g/cm³" in record["answer"]) == ("gravity" not in record["instruction"])


# --- What does not pay ---------------------------------------------------------------------------


def closed_values(record):
    facts = parse_facts(record["facts"])
    return ", ".join(sorted({v for f in facts if f.others for v in (*f.values, *f.others)}))


def share(records, answer):
    return sum(scoring.fact_match(answer(record), record) for record in records) / len(records)


@pytest.mark.parametrize("kind", geology.KINDS)
def test_only_the_right_answer_scores(all_records, kind):
    own = [record for record in all_records if geology.kind_of(record) == kind]
    assert share(own, lambda record: record["answer"]) == 1
    asked = "{instruction}\n{context}".format_map
    assert share(own, lambda record: record["context"]) <= 0.05
    assert share(own, asked) <= 0.05
    assert share(own, closed_values) <= 0.05
    assert share(own, lambda record: f"{record['context']}\n{closed_values(record)}") <= 0.05
    for answer, _ in Counter(record["answer"] for record in own).most_common(8):
        assert share(own, lambda _, answer=answer: answer) <= 0.05, answer


def test_a_number_is_rounded_once_and_half_up():
    assert (rounded(0.285, 2), rounded(2.675, 2), rounded(12.5, 0)) == ("0.29", "2.68", "13")
    assert (rounded(-0.125, 2), rounded(-0.004, 2), rounded(2.0, 2)) == ("-0.13", "0.00", "2.00")
    assert rounded(0.12449999, 2) == "0.12"  # not first to 0.1245 and then to 0.13


def test_a_rival_is_never_part_of_the_right_name_and_may_hold_it():
    others = ["vitreous", "vitreous to silky", "silky", "waxy", "waxy"]
    assert rivals(["vitreous to silky"], others) == ("waxy",)
    assert rivals(["vitreous"], others) == ("vitreous to silky", "silky", "waxy")


def test_the_longer_name_is_another_answer(all_records):
    asked = next(r for r in all_records if r["answer"].lower() == "argillic alteration"
                 and r["form"] == "name only")  # fmt: skip
    assert scoring.fact_match("argillic alteration", asked)
    if "advanced argillic alteration" in asked["instruction"]:
        assert not scoring.fact_match("advanced argillic alteration", asked)


def test_a_wavelength_from_memory_may_lie_as_far_off_as_samples_do(all_records):
    asked = [r for r in all_records if not r["context"] and "2165 nm" in r["answer"]]
    assert asked
    for record in asked:
        assert scoring.fact_match(record["answer"].replace("2165", "2170"), record)
        assert not scoring.fact_match(record["answer"].replace("2165", "2205"), record)


def test_other_minerals_of_the_same_group_are_right_for_an_index(all_records):
    asked = [r for r in all_records if not r["context"] and "answer=OH-bearing" in r["facts"]]
    assert asked
    for record in asked:
        assert scoring.fact_match("OH-bearing minerals such as clay, white mica, alunite.", record)


# --- Names ---------------------------------------------------------------------------------------


def test_the_darkest_band_is_the_darkest_of_the_printed_ones(drafts):
    for record in of(drafts, "bands/darkest"):
        values = bands_in(record["context"])
        assert record["answer"] == min(values, key=values.get)
        assert "absorb" not in record["instruction"]  # a slope makes a band dark as well


def test_the_bottom_of_an_absorption_is_asked_for_without_its_continuum(drafts):
    said = re.compile(r"bottom|absorption deepest|minimum")
    found = {d.template.split(":")[0] for d in drafts if said.search(d.record["instruction"])}
    assert {name for name in found if name.startswith("spectra")} == {"spectra/removed band"}
    for record in of(drafts, "spectra/removed band"):
        assert max(table_in(record["context"]).values()) < 1.1


def test_the_band_that_is_named_holds_the_absorption(drafts):
    for record in of(drafts, "bands/which"):
        limits = re.findall(r"((?:SWIR-|B)\d+) (\d+)-(\d+)", record["context"])
        (nm,) = re.findall(r"(?:at|feature at) (\d+) nm", record["context"])
        holding = [name for name, low, high in limits if int(low) <= int(nm) <= int(high)]
        assert record["answer"] == (holding[0] if holding else "none")


def test_the_bands_of_a_pixel_are_means_of_the_measured_spectrum(drafts):
    spectrum = {own.label: own for own in spectra.library().values()}
    for record in of(drafts, "bands/ratio", "bands/darkest"):
        own = spectrum[record["source"].split(",")[0]]
        sensor = next(one for one in load().sensors if one.name in record["context"])
        for band, value in bands_in(record["context"]).items():
            low, high = sensor.limits[band]
            there = (own.nm >= low) & (own.nm <= high)
            assert abs(own.reflectance[there].mean() - value) <= 0.00051


def test_the_pixel_of_an_index_is_a_real_surface_brighter_or_darker(drafts):
    spectrum = {own.label: own for own in spectra.library().values()}
    indices = {index.name: index for index in load().indices}
    seen = set()
    for record in of(drafts, "indices/value"):
        index = indices[record["group"].split("/", 2)[2]]
        label = re.search(r"pixel: (.*?), USGS", record["source"])[1]
        own, limits = spectrum[label], load().sensor(index.sensor).limits
        for band, value in bands_in(record["context"]).items():
            low, high = limits[band]
            true = own.reflectance[(own.nm >= low) & (own.nm <= high)].mean()
            assert value == pytest.approx(true, rel=0.21, abs=0.002)
        seen.add((index.name, label))
    assert len(seen) >= 4 * len(indices)


def test_indices_of_real_pixels_say_what_they_are_known_for(drafts):
    """NDVI and NBR are high for leaves, the clay ratio for clay, and all as no random pixel is."""
    values = {}
    for record in of(drafts, "indices/value"):
        values.setdefault(record["group"].split("/", 2)[2], {})[record["source"]] = float(
            record["answer"]
        )
    for name in ("NDVI", "NBR"):
        leaves = [v for source, v in values[name].items() if "Spruce" in source]
        assert min(leaves) > 0.5
        assert min(leaves) == max(values[name].values())
    assert min(values["the Landsat clay ratio"].values()) > 0.9
    assert max(values["the Landsat clay ratio"].values()) > 1.2
    assert min(values["the Landsat iron oxide ratio"].values()) >= 1


def test_the_candidate_nearest_to_the_lowest_band_is_the_material(drafts):
    for record in of(drafts, "spectra/identify"):
        table = table_in(record["context"])
        lowest = min(table, key=table.get)
        fact = parse_facts(record["facts"])[0]
        centres = {
            name: int(re.search(rf"(?<!\w){re.escape(name)} (\d+) nm", record["context"])[1])
            for name in (fact.value, *fact.others)
        }
        assert len(centres) == 3
        assert min(centres, key=lambda name: abs(centres[name] - lowest)) == record["answer"]
        assert abs(centres[record["answer"]] - lowest) <= 12


def test_the_mineral_that_explains_a_measured_absorption_is_the_nearest(drafts):
    for record in of(drafts, "features/which mineral"):
        fact = parse_facts(record["facts"])[0]
        (measured,) = re.findall(r"(?:Measured: |at )(\d+) nm", record["context"])
        gaps = {}
        for name in (fact.value, *fact.others):
            lines = re.search(rf"(?<!\w){re.escape(name)} ([\d, ]+) nm", record["context"])[1]
            gaps[name] = min(abs(int(nm) - int(measured)) for nm in lines.split(", "))
        assert (
            gaps[record["answer"]] <= 4 < min(v for k, v in gaps.items() if k != record["answer"])
        )


def test_the_candidate_that_fits_is_the_only_one(drafts):
    for record in of(drafts, "properties/which fits"):
        fact = parse_facts(record["facts"])[0]
        said = r"(?:Measured specific gravity|specimen has|gravity of) (\d\.\d\d)(?=[.;])"
        measured = float(re.search(said, record["context"])[1])
        fitting = []
        for name in (fact.value, *fact.others):
            span = rf"(?<!\w){name} (\d+(?:\.\d+)?)(?: to (\d+(?:\.\d+)?))?"
            ends = re.search(span, record["context"])
            low, high = float(ends[1]), float(ends[2] or ends[1])
            if low - 0.006 <= measured <= high + 0.006:
                fitting.append(name)
        assert fitting == [record["answer"]]


def test_the_zone_has_the_minerals_that_were_seen_and_no_other_has(drafts):
    zones = {zone.name: set(zone.minerals) for zone in load().zones}
    for record in of(drafts, "alteration/which zone"):
        fact = parse_facts(record["facts"])[0]
        seen = re.search(
            r"(?:Found: |holds |thin section: )(.+?) and (.+?)\.(?: |$)", record["context"]
        ).groups()
        fitting = [name for name in (fact.value, *fact.others) if set(seen) <= zones[name]]
        assert fitting == [record["answer"]]


# --- Yes or no ------------------------------------------------------------------------------------


def test_the_harder_mineral_scratches_the_softer(drafts):
    table = {mineral.name.lower(): mineral.hardness for mineral in minerals.table()}
    answers = Counter()
    for record in of(drafts, "properties/scratch"):
        told, first, second = parse_facts(record["facts"])
        a, b = sorted(
            (first.name, second.name),
            key=lambda name: re.search(rf"(?<!\w){name}(?!\w)", record["answer"]).start(),
        )
        asked = rf"(?i){a}.* scratch {b}|scratch {b} with {a}|piece of {a}"
        assert re.search(asked, record["instruction"])
        assert told.value == ("yes" if table[a][0] > table[b][1] else "no")
        assert (table[a][0] > table[b][1]) != (table[b][0] > table[a][1])
        answers[told.value] += 1
    assert 0.3 < answers["yes"] / answers.total() < 0.7


def test_an_absorption_is_recorded_where_the_range_holds_it(drafts):
    answers = Counter()
    for record in of(drafts, "sensors/reach"):
        told, limits = parse_facts(record["facts"])
        nm = int(re.search(r"(\d{3,4}) nm", record["instruction"])[1])
        assert told.value == ("yes" if limits.number <= nm <= float(limits.upper) else "no")
        assert f"range {limits.value}-{limits.upper} nm" in record["context"]
        answers[told.value] += 1
    assert answers["yes"] == answers["no"]


# --- Sentences ----------------------------------------------------------------------------------


def test_a_sentence_with_context_stands_in_the_context(drafts):
    names = [f"alteration/{a} in context" for a in ("setting", "conditions", "shows")]
    names += [f"mistakes/{a} in context" for a in ("cause", "cure", "symptom")]
    names += [f"preprocessing/{a} in context" for a in ("how", "omitted")]
    names += [f"unmixing/{a} in context" for a in ("meaning", "use", "occurs", "limit")]
    frame = re.compile(f"^({'|'.join(FRAMES)}) ")
    for record in of(drafts, *names):
        told = frame.sub("", record["answer"]).rstrip(".")
        assert told.casefold() in record["context"].casefold()


# How an answer begins whose fact is a noun phrase ("green vegetation"); the verbs of the others.
FRAMES = (
    "It is due to", "It is high for", "It is used for", "It occurs", "It is", "It forms through",
    "Its setting is", "One sees",
)  # fmt: skip
VERBS = (
    "absorbs?|appear|assumes|belong|brings?|calibrate|cannot|changes|check|choose|convert|convolve"
    "|correct|covers|damps|depends?|describe|differ|divide|does|dominates|drift|drop|dry|estimate"
    "|evens|explode|fails|falls?|fit|follows|get|grows|has|have|hold|holds|is|are|was|leaks|leaves"
    "|lies?|look|lowers|may|matches|model|moves|mask|measure|multiply|names|needs|normalise|orders"
    "|pass|penetrates|puts|reflects|remain|removes|runs|says|seems|separates|share|shape|shifts"
    "|shows|split|stand|stays|subtract|takes|turns|use|uses|ask|bring|weighs|weight|whiten"
)


def test_an_answer_in_one_sentence_is_a_sentence(all_records):
    """ "Green vegetation." is the name of something and tells nothing of it."""
    answers = {r["answer"] for r in all_records if r["form"] == "one sentence"}
    verb = re.compile(rf"^({'|'.join(FRAMES)}) |\b({VERBS})\b", re.IGNORECASE)
    assert [answer for answer in answers if not verb.search(answer)] == []
    assert not verb.search("Green vegetation.")
    assert not verb.search("The hot centre of a porphyry copper system.")
    assert all(re.fullmatch(r"[A-Z].*[^.]\.", answer) for answer in answers)


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("indices/highlights", "It is high for "),
        ("alteration/setting", "Its setting is "),
        ("alteration/conditions", "It forms through "),
        ("alteration/shows", "One sees "),
        ("unmixing/meaning", "It is "),
        ("unmixing/use", "It is used for "),
        ("features/why", "It is due to "),
    ],
)
def test_what_is_known_as_a_noun_is_told_in_a_sentence(drafts, name, begins):
    for record in of(drafts, name, f"{name} in context"):
        assert record["answer"].startswith(begins)


def test_a_mistake_is_asked_about_by_its_name(drafts):
    """A map on which no pixel matches may have more than one cause."""
    names = [mistake.name for mistake in load().mistakes]
    for record in of(drafts, "mistakes/cause", "mistakes/cure", "mistakes/symptom"):
        assert any(name.casefold() in record["instruction"].casefold() for name in names), record


def test_a_property_in_context_stands_there(drafts):
    for wanted in ("formula", "Mohs hardness", "specific gravity", "crystal system", "class"):
        for record in of(drafts, f"properties/{wanted} in context"):
            value = re.sub(r"between (\S+) and", r"\1 to", record["answer"])
            assert f"{wanted} {value}".casefold() in record["context"].casefold()


def test_an_answer_names_what_it_speaks_of(all_records):
    """Without its context, "their bands" or "these pixels" would be nobody's."""
    vague = re.compile(r"^(Their|These|Those|They|Both|There)\b|\b[Tt]h[eo]se (pixels|bands|lines)")
    told = {r["answer"] for r in all_records if r["form"] == "one sentence"}
    assert len(told) > 200
    assert [answer for answer in told if vague.search(answer)] == []


def test_articles_are_right(all_records):
    texts = [text for r in all_records for text in (r["instruction"], r["context"], r["answer"])]
    wrong = re.compile(r"\b[Aa] (?=[aeio]\w)(?!one\b|once\b|u)|\b[Aa]n (?=[bcdfgjklmnpqrstvwyz]\w)")
    assert [text for text in texts if wrong.search(text)] == []
    bare = re.compile(
        r"(?:is|does|without|of|by) (?:empirical line method|gossan\b|Moon Mineralogy)"
    )
    assert [text for text in texts if bare.search(text)] == []
