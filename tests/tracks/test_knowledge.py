"""The knowledge base: what is in it, and errors that name the file and the place."""

import copy

import pytest
import yaml

from course_utils.errors import CourseError
from course_utils.tracks import knowledge

CHECK = {"name": "oil level", "limit": "at least", "value": "20", "unit": "mm", "source": "ISO 1"}
MODE = {
    "id": "leak",
    "name": "leakage",
    "component": "seal",
    "symptoms": ["drips", "a puddle"],
    "checks": [CHECK],
    "remedies": [
        {"cause": "wear", "action": "replace the seal", "safety": "lock the drive"},
        {"cause": "dirt", "action": "clean the face", "safety": "lock the drive"},
    ],
}
PUMP = {
    "id": "pump",
    "name": "pump",
    "function": "moves liquid",
    "example": "75 kW",
    "specifications": [
        {"name": f"figure {n}", "value": str(n), "unit": "mm", "source": knowledge.TRADE}
        for n in range(6)
    ],
    "components": [
        {"name": name, "function": "does its job"}
        for name in ("seal", "shaft", "casing", "wheel", "base")
    ],
    "failure_modes": [{**copy.deepcopy(MODE), "id": f"leak_{n}"} for n in range(5)],
    "maintenance": ["every 500 h: change the oil", "daily: look", "yearly: open it"],
    "sources": [],
}


def write(folder, content, name="pump.yaml"):
    text = content if isinstance(content, str) else yaml.safe_dump(content)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def changed(*place, value):
    content = copy.deepcopy(PUMP)
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return content


def problem(folder):
    with pytest.raises(CourseError) as caught:
        knowledge.load(folder)
    assert caught.value.cure
    return caught.value.message


def test_a_mode_lists_its_causes_actions_and_safety_steps_once_each(tmp_path):
    mode = {**MODE, "symptoms": ["drips", {"text": "a jet", "stop": True}], "actions": ["look"]}
    mode["remedies"] = [MODE["remedies"][0], {**MODE["remedies"][1], "origin": "shaft"}]
    content = {**PUMP, "failure_modes": [{**mode, "id": f"leak_{n}"} for n in range(5)]}
    (pump,) = knowledge.load(write(tmp_path, content))
    read = pump.failure_modes[0]
    assert (read.symptoms, read.causes) == (["drips", "a jet"], ["wear", "dirt"])
    assert [symptom.stop for symptom in read.reported] == [False, True]
    assert read.actions == ["replace the seal", "clean the face", "look"]
    assert read.safety == ["lock the drive"]
    assert read.origins == ["shaft"]


@pytest.mark.parametrize("place", [("component",), ("remedies", 1, "origin")])
def test_a_part_that_is_not_listed_is_named(tmp_path, place):
    message = problem(write(tmp_path, changed("failure_modes", 1, *place, value="propeller")))
    assert f"leak_1: {place[-1]} 'propeller' is not listed" in message


def test_an_origin_is_another_part_than_the_component(tmp_path):
    content = changed("failure_modes", 1, "remedies", 0, "origin", value="seal")
    assert "origin 'seal' is its component" in problem(write(tmp_path, content))


def test_an_origin_of_the_whole_failure_mode_is_refused(tmp_path):
    """It contradicted the cause that a record drew: 53 of 144 inspection sheets."""
    content = changed("failure_modes", 1, "origin", value="shaft")
    assert "failure_modes.1.origin" in problem(write(tmp_path, content))


# --- The base that comes with the kit ---


def test_the_base_holds_at_least_15_kinds_and_600_facts():
    base = knowledge.load()
    assert len(base) >= 15
    assert knowledge.count_facts(base) >= 600
    assert len({one.id for one in base}) == len({one.name for one in base}) == len(base)


def test_facts_are_not_said_twice_to_reach_their_number():
    for one in knowledge.load():
        facts = list(one.facts())
        assert len(set(facts)) > 0.9 * len(facts), one.name
        assert all(fact == fact.strip() and fact for fact in facts)


def test_every_range_rises():
    for one in knowledge.load():
        for quantity in knowledge._quantities(one):
            if quantity.upper is not None:
                assert float(quantity.value) < float(quantity.upper), (one.name, quantity)


def test_short_citations_belong_to_a_full_title():
    for one in knowledge.load():
        cited = [quantity.source for quantity in knowledge._quantities(one) if quantity.cited]
        assert not cited or one.sources, one.name


def test_a_trade_value_is_not_counted_as_a_source(tmp_path):
    (pump,) = knowledge.load(write(tmp_path, PUMP))
    assert knowledge.count_sources((pump,)) == (5, 6 + 5)  # the checks cite, the data sheet not


def test_a_figure_without_a_source_is_refused(tmp_path):
    figures = [{k: v for k, v in PUMP["specifications"][0].items() if k != "source"}]
    figures += PUMP["specifications"][1:]
    message = problem(write(tmp_path, {**PUMP, "specifications": figures}))
    assert "specifications.0.source: Field required" in message


def test_at_least_60_per_cent_of_the_figures_name_a_source():
    cited, figures = knowledge.count_sources(knowledge.load())
    assert cited >= 0.6 * figures


def test_no_text_holds_a_sign_that_separates_facts():
    for one in knowledge.load():
        parts = [part.name for part in one.components]
        modes = [mode.name for mode in one.failure_modes]
        for text in (*one.facts(), *parts, *modes):
            assert not any(mark in text for mark in (";", "=", "|", " & ")), (one.name, text)


def test_no_text_holds_format_signs_doubled_spaces_or_a_full_stop():
    for one in knowledge.load():
        for text in one.facts():
            assert not set(text) & set("{}"), (one.name, text)
            assert "  " not in text
            assert "\n" not in text
            assert not text.endswith("."), (one.name, text)


DAMAGED = {
    "belt_conveyor": "splice_separation longitudinal_rip idler_seizure pulley_bearing_failure",
    "centrifugal_fan": "blade_erosion bearing_lubrication_failure",
    "centrifugal_pump": "pump_bearing_damage wear_ring_erosion",
    "cnc_machining_centre": "spindle_bearing_wear",
    "gearbox": "tooth_pitting tooth_breakage high_speed_bearing_wear",
    "hydraulic_excavator": "main_pump_wear slewing_ring_wear bucket_pin_wear hose_burst",
    "hydraulic_power_unit": "piston_pump_wear hose_line_burst",
    "induction_motor": "drive_end_bearing_wear broken_rotor_bar bearing_current_erosion",
    "mechanical_press": "crank_bearing_overheating",
    "overhead_crane": "rope_fatigue hook_deformation collector_wear",
    "plate_heat_exchanger": "external_gasket_leak plate_perforation plate_fatigue_cracking",
    "rolling_bearing": "raceway_spalling abrasive_wear electrical_erosion false_brinelling",
    "screw_compressor": "air_end_bearing_wear",
    "welding_robot": "joint_reducer_wear",
}
RENEWED = ("replac", "exchang", "renew", "discard", "overhaul", "new", "regasket", "fit ")


@pytest.mark.parametrize(
    ("machine", "mode"), [(one, mode) for one, modes in DAMAGED.items() for mode in modes.split()]
)
def test_every_remedy_for_a_damaged_part_renews_that_part(machine, mode):
    """A broken rotor bar was "cured" by a longer pause between starts."""
    (equipment,) = [one for one in knowledge.load() if one.id == machine]
    (found,) = [one for one in equipment.failure_modes if one.id == mode]
    for remedy in found.remedies:
        work = f"{remedy.action} {remedy.repair}"
        assert any(word in work for word in RENEWED), (remedy.cause, work)


@pytest.mark.parametrize(
    "sign",
    [
        "sharp smell near the hoist motor",
        "scorched smell at the flywheel hub",
        "burnt grease smell at the end shield",
        "burnt grease smell near the shaft",
        "blisters or cracks in the outer layer",
        "blisters or bare wires on the hose cover",
        "blocked-chute probe alarm",
        "feed stream stopping while the hopper is full",
        "line of spillage under the belt centre",
        "coupling bolts working loose",
        "crackling noise over the sheaves",
        "one phase drawing far more current",
        "white steam from the chimney",
        "repeated purge without ignition",
        "foaming in the gauge glass",
        "late venting noise at the silencer",
        "display that shows load on an empty hook",
        "sidebands at shaft speed around the mesh frequency",
        "bronze flakes in the return oil",
        "flakes of steel in the grease",
    ],
)
def test_signs_of_the_same_danger_demand_a_stop_on_every_machine(sign):
    """The crew was told to run on with a smoking hoist brake."""
    modes = [mode for one in knowledge.load() for mode in one.failure_modes]
    found = [symptom for mode in modes for symptom in mode.reported if symptom.text == sign]
    assert found
    assert all(symptom.stop for symptom in found)


# --- Files of one's own ---


def test_a_file_is_read_as_it_stands(tmp_path):
    (pump,) = knowledge.load(write(tmp_path, PUMP))
    mode = MODE | {"symptoms": [{"text": text} for text in MODE["symptoms"]]}
    assert pump.model_dump(exclude_defaults=True, by_alias=True) == PUMP | {
        "failure_modes": [{**mode, "id": f"leak_{n}"} for n in range(5)]
    }
    # function, 6 specifications, 5 components, 3 lines of maintenance, 5 modes of 8
    assert knowledge.count_facts((pump,)) == 1 + 6 + 5 + 3 + 5 * (2 + 2 + 2 + 1 + 1)


def test_files_come_in_the_order_of_their_names(tmp_path):
    for name in ("b", "a", "c"):
        write(tmp_path, {**PUMP, "id": name}, f"{name}.yaml")
    write(tmp_path, "no: knowledge", "notes.txt")
    assert [one.id for one in knowledge.load(tmp_path)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("name",), 7),
        (("nme",), "pump"),
        (("id",), "Pump 1"),
        (("components",), []),
        (("specifications", 2, "value"), 4.5),
        (("specifications", 2, "value"), "about 4"),
        (("specifications", 2, "value"), "4,5"),
        (("specifications", 1, "limit"), "no more than"),
        (("failure_modes", 3, "symptoms"), ["one"]),
        (("failure_modes", 3, "checks"), []),
        (("failure_modes", 0, "checks", 0, "unit"), None),
        (("failure_modes", 0, "id"), "a/b"),
        (("maintenance",), "every 500 h"),
    ],
)
def test_a_wrong_value_is_named_with_file_and_place(tmp_path, place, value):
    message = problem(write(tmp_path, changed(*place, value=value)))
    assert message.startswith(f"{tmp_path / 'pump.yaml'}: {'.'.join(map(str, place))}: ")


@pytest.mark.parametrize("key", list(PUMP))
def test_a_missing_key_is_named(tmp_path, key):
    content = {name: value for name, value in PUMP.items() if name != key}
    assert f"pump.yaml: {key}: Field required" in problem(write(tmp_path, content))


@pytest.mark.parametrize("content", ["", "# nothing\n", "- a\n- b\n", "text"])
def test_a_file_that_is_no_mapping_is_refused_as_a_whole(tmp_path, content):
    assert "pump.yaml: the whole file: " in problem(write(tmp_path, content))


@pytest.mark.parametrize("content", ["a: [1", "a: b: c", "\ta: 1", "a: 'x", "!!python/none x"])
def test_broken_yaml_is_refused_with_its_file(tmp_path, content):
    assert "pump.yaml: " in problem(write(tmp_path, content))


def test_a_file_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "pump.yaml").write_bytes("name: Tür".encode("cp1252"))
    assert "pump.yaml: " in problem(tmp_path)


def test_a_folder_in_place_of_a_file_and_an_empty_folder_are_refused(tmp_path):
    assert "there is no knowledge file" in problem(tmp_path)
    assert "there is no knowledge file" in problem(tmp_path / "missing")
    (tmp_path / "pump.yaml").mkdir()
    knowledge.load.cache_clear()
    assert "pump.yaml: " in problem(tmp_path)


def test_a_failure_of_an_unknown_component_is_refused(tmp_path):
    message = problem(write(tmp_path, changed("failure_modes", 1, "component", value="sela")))
    assert "failure mode leak_1: component 'sela' is not listed" in message


def test_a_key_that_stands_twice_is_refused_and_not_dropped(tmp_path):
    message = problem(write(tmp_path, yaml.safe_dump(PUMP) + "name: another pump\n"))
    assert "pump.yaml: name stands twice" in message
    assert "line" in message


def test_an_id_that_is_there_twice_is_refused(tmp_path):
    message = problem(write(tmp_path, changed("failure_modes", 1, "id", value="leak_0")))
    assert "id is there twice" in message


@pytest.mark.parametrize("own", [{"limit": "between"}, {"upper": "30"}])
def test_between_and_upper_need_each_other(tmp_path, own):
    content = changed("failure_modes", 0, "checks", 0, value={**CHECK, **own})
    assert "oil level: 'between' and `upper` belong together" in problem(write(tmp_path, content))


def test_a_record_of_knowledge_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        knowledge.load()[0].name = "other"
