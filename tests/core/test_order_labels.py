"""Rules for work orders: only whole words state something. The texts are invented."""

import pytest

from course_utils.errors import CourseError
from course_utils.order_labels import apply_rules, load_rules, plain_words

# What the published rules read into parts of words, each with what the text really states.
ACCIDENTS = [
    ("coolant overflow dripping", {}),
    ("tank overfilling", {"part": {"Tank"}, "failure_mode": {"Fluid Levels"}}),
    ("RF - look at belts", {}),
    ("RH120C bleeding air", {}),
    ("120E slew gearbox failed", {}),
    ("slew boxes u/s", {}),
    ("lube block worn", {"part": {"Grease System"}}),
    ("blocking valve worn", {"system": {"Hydraulic System"}}),
    ("logic block u/s", {"system": {"Hydraulic System"}}),
    ("slew brake not holding", {"part": {"Brakes"}}),
    ("replace all emergency stops", {"action": {"Replace"}}),
    ("ALL ESTOPS U/S", {}),
    ("bolt tensions", {"part": {"Mount"}}),
    ("mirror extensions", {}),
    ("SCV 1 boily 2 fitters", {}),
    ("return to depot", {}),
    ("turbocharger", {"system": {"Turbochargers"}}),
    ("air cleaner u/s", {"system": {"Induction and Exhaust"}}),
    ("track adjuster u/s", {"part": {"Track"}}),
    ("lost all bucket functions", {"system": {"Bucket"}}),
    ("L/H PTO noise", {"failure_mode": {"Noise"}, "location": {"Left"}}),
    (
        "L/H eng overheating",
        {"system": {"Engine"}, "failure_mode": {"Over Temp"}, "location": {"Left"}},
    ),
    ("low eng oil pressure", {"system": {"Engine"}}),
    ("scope fan", {"part": {"Fan"}, "action": {"CM"}}),
    ("investigate fan", {"part": {"Fan"}, "action": {"CM"}}),
    ("R.H lamp out", {"part": {"Lights"}, "location": {"Right"}}),
    ("L.H lamp out", {"part": {"Lights"}, "location": {"Left"}}),
    ("boom slow", {}),
    ("heater not getting warm", {"part": {"Air Conditioning"}}),
]


@pytest.mark.parametrize(("text", "labels"), ACCIDENTS, ids=[text for text, _ in ACCIDENTS])
def test_part_of_a_word_states_nothing(text, labels):
    assert apply_rules(text) == labels


# The examples of data/gold/guideline.md.
EXAMPLES = [
    (
        "RH ENG COOLANT HOSE LEAKING SHD24",
        {"system": {"Engine"}, "failure_mode": {"Leak"}, "location": {"Right"}},
    ),
    (
        "RF - replace belts rear a/c RH120",
        {"part": {"Air Conditioning"}, "action": {"Replace"}, "location": {"Rear"}},
    ),
    (
        "oil leak LH bkt cyl gland",
        {
            "system": {"Hydraulic Cylinders"},
            "part": {"Cylinder", "Tilt", "Seal"},
            "failure_mode": {"Leak"},
            "location": {"Left"},
        },
    ),
    (
        "C/O slew gearbox both sides",
        {"action": {"Replace"}, "location": {"Left", "Right"}},
    ),
    (
        "lost 2 teeth, reweld adaptor",
        {
            "system": {"Bucket"},
            "part": {"GET", "Adaptor"},
            "action": {"Repair"},
            "failure_mode": {"Missing / Loose"},
        },
    ),
    (
        "blown travel hose",
        {"system": {"Hydraulic System"}, "failure_mode": {"Structural Integrity"}},
    ),
    ("blown hose", {"failure_mode": {"Structural Integrity"}}),
    (
        "ACC: bent handrail on stairs",
        {
            "system": {"Superstructure"},
            "part": {"Ladder"},
            "failure_mode": {"Accidental Damage", "Structural Integrity"},
        },
    ),
    (
        "engine shutting down, jump started",
        {"system": {"Engine"}, "part": {"Starting System"}, "action": {"Minor Maint"}},
    ),
    ("investigate lube fault alarm", {"part": {"Grease System"}, "action": {"CM"}}),
    ("machine u/s", {}),
]


@pytest.mark.parametrize(("text", "labels"), EXAMPLES, ids=[text for text, _ in EXAMPLES])
def test_examples_of_the_guideline_are_labelled_as_it_says(text, labels):
    assert apply_rules(text) == labels


def test_words_of_a_fixed_name_are_used_up():
    assert apply_rules("dip stick tube") == {}
    assert apply_rules("stick hose") == {"system": {"Hydraulic System"}}
    assert apply_rules("oil burn fault") == {}
    assert apply_rules("pump drive noise") == {"failure_mode": {"Noise"}}


def test_longest_name_wins():
    assert apply_rules("L/H R/H lamps")["location"] == {"Left", "Right"}
    assert apply_rules("rhf lamp")["location"] == {"Right", "Front"}


def test_warning_light_that_is_on_is_no_lamp_to_be_mended():
    assert apply_rules("fault light on") == {"failure_mode": {"Warning Light"}}
    assert apply_rules("fault light u/s") == {}
    assert apply_rules("work light u/s") == {"part": {"Lights"}}


def test_hose_near_a_thing_is_not_of_it():
    assert apply_rules("hose on boom") == {"system": {"Hydraulic System"}}
    assert apply_rules("hose near boom") == {}
    assert apply_rules("grease hose on boom") == {"part": {"Grease System"}}


def test_plain_words_drop_case_signs_and_apostrophes():
    assert plain_words("  L/H  won't start...") == "l h wont start"


def rules_file(folder, text):
    file = folder / "rules.yaml"
    file.write_text("lists: {}\nnames: []\nrules:\n" + text, encoding="utf-8")
    return file


def test_rule_outside_the_closed_set_is_refused(tmp_path):
    file = rules_file(tmp_path, "  - {words: [hinge], states: {part: [Hinge]}}\n")
    with pytest.raises(CourseError, match="'Hinge' is not in the closed set") as error:
        load_rules(file)
    assert "Drivers Cabin" in error.value.cure


def test_unknown_list_is_named(tmp_path):
    file = rules_file(tmp_path, "  - {words: [boom <rod>], states: {part: [Lift]}}\n")
    with pytest.raises(CourseError, match="there is no list 'rod'"):
        load_rules(file)


def test_misspelt_key_is_named_with_its_place(tmp_path):
    file = rules_file(tmp_path, "  - {word: [boom], states: {part: [Lift]}}\n")
    with pytest.raises(CourseError, match=r"rules\.0\.words"):
        load_rules(file)


@pytest.mark.parametrize(
    ("text", "side"), [("replace r/h f/drive", "Right"), ("L/H F/DRIVE LEAKING", "Left")]
)
def test_the_f_of_a_final_drive_is_not_the_front(text, side):
    found = apply_rules(text)
    assert found["location"] == {side}
    assert found["system"] == {"Final Drive"}
