"""The parameter lab's sliders, figures and sentences, without a browser (tests/browser has one)."""

import functools
import io
import shlex

import pytest

from course_utils.errors import CourseError
from course_utils.lab import controls, explore, parameters, sweeps
from course_utils.lab import plots as lab_plots
from course_utils.lab import recorded as lab_recorded
from course_utils.lab.sweeps import Sweep

SECTIONS = list(parameters.PARAMETERS)
LENGTHS = [60, 70, 80, 90, 100] * 20
LOG = [{"step": step, "loss": 2.0 / step} for step in range(1, 41)]
CONTEXT = lab_plots.Context(
    records=400, lengths=LENGTHS, prompt_lengths=[n - 30 for n in LENGTHS], log=LOG
)


@pytest.fixture
def shown(monkeypatch):
    """What the lab displays, bundle by bundle."""
    bundles = []

    def show(bundle, alt=""):
        if "image/png" in bundle:
            assert alt
        bundles.append(bundle)

    monkeypatch.setattr(explore, "_display", show)
    return bundles


@pytest.fixture
def lab(shown):
    """A lab with sliders that knows its lengths already: counting tokens is another test's work."""
    made = explore.Lab(static=False)
    made.__dict__["lengths"] = (LENGTHS, [n - 30 for n in LENGTHS])
    return made


def slider(lab, section, name):
    return lab.panels[section].controls[name]


def figure_of(lab, section):
    return lab.panels[section].parts["figure"].value


# ---------------------------------------------------------------- sliders


@pytest.mark.parametrize("section", SECTIONS)
def test_each_section_offers_the_stops_of_its_parameter(section):
    parameter = parameters.PARAMETERS[section]
    widget = controls.control(section, parameter.start)
    if parameter.kind == "bool":
        assert widget.value is parameter.start
        return
    options = widget.options
    assert [option[1] if isinstance(option, tuple) else option for option in options] == list(
        parameter.values
    )
    assert section in widget.description


def test_a_moved_slider_changes_figure_setting_and_command(lab):
    lab.panel("learning_rate")
    before = figure_of(lab, "learning_rate")
    slider(lab, "learning_rate", "learning_rate").value = 1e-3
    assert figure_of(lab, "learning_rate") != before
    assert lab.settings["learning_rate"] == 1e-3
    assert "--learning_rate 0.001" in lab.panels["learning_rate"].parts["told"].value


def test_sliders_of_other_sections_follow(lab):
    lab.panel("lora_alpha")
    lab.panel("include_mlp")
    before = figure_of(lab, "include_mlp")
    slider(lab, "lora_alpha", "lora_r").value = 64
    assert slider(lab, "include_mlp", "lora_r").value == 64
    assert figure_of(lab, "include_mlp") != before


def test_a_section_that_does_not_depend_on_a_slider_stays(lab):
    lab.panel("lora_alpha")
    lab.panel("lora_dropout")
    before = figure_of(lab, "lora_dropout")
    slider(lab, "lora_alpha", "lora_alpha").value = 128
    assert figure_of(lab, "lora_dropout") is before


def test_every_section_shows_the_command_with_all_values_that_were_changed(lab):
    lab.panel("lora_alpha")
    lab.panel("lora_dropout")
    slider(lab, "lora_alpha", "lora_alpha").value = 128
    for name in ("lora_alpha", "lora_dropout"):
        assert "--lora_alpha 128" in lab.panels[name].parts["told"].value


def test_dropout_takes_memory_and_its_figure_says_so(lab):
    lab.panel("per_device_train_batch_size")
    before = figure_of(lab, "per_device_train_batch_size")
    lab.set(lora_dropout=0.2 if lab.settings["lora_dropout"] == 0 else 0.0)
    assert figure_of(lab, "per_device_train_batch_size") is not before


def test_a_loaded_value_between_the_stops_gets_a_stop(lab):
    lab.panel("lora_r")
    lab.load("python train_lora.py --data a.jsonl --out b/ --lora_r 24")
    assert slider(lab, "lora_r", "lora_r").value == 24
    assert [stop for _, stop in slider(lab, "lora_r", "lora_r").options][4:7] == [16, 24, 32]


def test_the_command_of_the_sliders_loads_back(lab):
    lab.set(learning_rate=5e-4, precision="fp16", include_mlp=False, max_new_tokens=24)
    other = explore.Lab(static=True, command=lab.command())
    assert other.settings == lab.settings


@pytest.mark.parametrize("section", SECTIONS)
def test_a_sections_short_command_means_the_same_as_the_long_one(lab, section):
    lab.set(lora_r=8, precision="fp32", num_train_epochs=3)
    short = lab.command(section)
    assert len(shlex.split(short)) < len(shlex.split(lab.command()))
    assert parameters.from_command(short) == lab.settings


def test_a_value_out_of_range_names_parameter_and_range(lab):
    with pytest.raises(CourseError, match="lora_dropout.*2"):
        lab.set(lora_dropout=2)
    assert lab.settings["lora_dropout"] == 0.05


def test_a_wrong_command_is_a_sentence_beside_the_button(lab):
    import ipywidgets

    boxes = []
    make = ipywidgets.VBox.__init__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            ipywidgets.VBox,
            "__init__",
            lambda self, *a, **k: (make(self, *a, **k), boxes.append(self))[0],
        )
        lab.command_box()
    copy, paste, button, told = boxes[-1].children
    paste.value = "python train_lora.py --lora_rank 8"
    button.click()
    assert "lora_rank" in told.value
    assert "lora_r?" in told.value
    paste.value = "python train_lora.py --lora_r 8"
    button.click()
    assert lab.settings["lora_r"] == 8
    assert "--lora_r 8" in copy.value
    assert "Set from the line: lora_r 8." in told.value


def test_a_loaded_command_tells_what_it_set_what_it_set_back_and_what_it_left_aside(lab):
    lab.set(num_train_epochs=5, per_device_train_batch_size=16)
    line = "python train_lora.py --data my.jsonl --out x/ --lora_r 8 --bf16 false --seed 3 --resume"
    told = lab.load(line)
    assert "Set from the line: lora_r 8, precision fp32." in told
    back = "num_train_epochs 2 (was 5), per_device_train_batch_size 2 (was 16)"
    assert f"back at the start value: {back}." in told
    assert "Left aside, since it is no slider here: --data my.jsonl --out x/ --seed 3" in told
    assert lab.settings["num_train_epochs"] == 2


def test_a_command_that_changes_nothing_else_says_so(lab):
    told = lab.load("python train_lora.py --lora_alpha 64")
    assert told == (
        "Set from the line: lora_alpha 64. What it does not name was at its start value already."
    )


def test_the_records_are_a_number_that_is_typed_and_every_section_follows(lab):
    lab.panel("num_train_epochs")
    lab.panel("gradient_accumulation_steps")
    field = slider(lab, "num_train_epochs", "records")
    assert not hasattr(field, "options")
    before = figure_of(lab, "gradient_accumulation_steps")
    field.value = 120
    assert slider(lab, "gradient_accumulation_steps", "records").value == 120
    assert figure_of(lab, "gradient_accumulation_steps") != before
    assert "of 120 records" in lab.panels["num_train_epochs"].titles()[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [("records", 0), ("records", 1.5), ("records", "120"), ("records", True), ("device", "T5"),
     ("model", "gpt-9"), ("number", 0), ("number", float("inf")), ("number", "65520")],
)  # fmt: skip
def test_an_extra_that_does_not_fit_is_refused_with_what_fits(lab, name, value):
    with pytest.raises(CourseError, match="does not fit|is not there") as refused:
        lab.set(**{name: value})
    assert refused.value.cure


def test_a_warm_up_of_all_steps_is_told_as_such(lab):
    lab.set(records=8, num_train_epochs=0.5)
    lab.panel("learning_rate")
    assert "the rate stays at 0" in lab.panels["learning_rate"].titles()[0]


def test_a_run_shorter_than_the_logging_interval_leaves_one_point(lab):
    lab.panel("logging_steps")
    lab.set(logging_steps=100)
    assert "logging_steps 100 leaves 1 point of" in " ".join(lab.panels["logging_steps"].titles())


def test_a_panel_says_what_its_pictures_show_to_those_who_do_not_see_them(lab):
    lab.panel("learning_rate")
    told = lab.panels["learning_rate"].parts["told"].value
    titles = lab.panels["learning_rate"].titles()
    assert len(titles) == 2
    assert all(f"<span class='course-alt' hidden>{title}</span>" in told for title in titles)
    slider(lab, "learning_rate", "learning_rate").value = 1e-3
    assert "5 times the start value" in lab.panels["learning_rate"].parts["told"].value


def test_an_unknown_section_or_model_names_those_that_are_there(lab):
    with pytest.raises(CourseError, match="lora_q"):
        lab.panel("lora_q")
    with pytest.raises(CourseError, match="gpt-9"):
        explore.Lab(model="gpt-9")


def test_your_own_records_set_the_number(tmp_path, shown):
    row = '{"system": "s", "instruction": "i%d", "context": "c", "answer": "a"}\n'
    path = tmp_path / "records.jsonl"
    path.write_text("".join(row % n for n in range(23)), encoding="utf-8")
    assert explore.Lab(data=path).state["records"] == 23
    with pytest.raises(CourseError, match="nowhere"):
        explore.Lab(data=tmp_path / "nowhere.jsonl")


# ---------------------------------------------------------------- warnings


def test_a_section_warns_of_what_its_own_sliders_brought_about(lab):
    assert lab.warnings("learning_rate") == []
    lab.set(learning_rate=1e-2)
    assert any("learning rate 0.01" in text for text in lab.warnings("learning_rate"))
    assert lab.warnings("lora_alpha") == []
    lab.panel("learning_rate")
    assert "Careful" in lab.panels["learning_rate"].parts["careful"].value


def test_warnings_cannot_smuggle_markup():
    assert "&lt;b&gt;" in explore.warning_html(["<b>"])


# ---------------------------------------------------------------- static twins


def test_without_anybody_to_move_a_slider_a_panel_is_a_picture_with_words(shown, capsys):
    explore.Lab(static=True).panel("lora_r")
    (bundle,) = shown
    assert set(bundle) == {"image/png", "text/plain"}
    said = capsys.readouterr().out
    assert "lora_r 16" in said
    assert "--lora_r 16" in said


def test_with_sliders_the_same_output_holds_the_picture(lab, shown):
    lab.panel("lora_alpha")
    bundle, script = shown
    assert set(bundle) == {explore.WIDGET, "image/png", "text/plain"}
    assert "aria-valuetext" in script["text/html"]


def test_outside_a_kernel_nobody_moves_a_slider():
    assert explore.is_static()


def test_a_folded_command_is_still_one_command():
    line = parameters.to_command({})
    folded = explore.folded(line)
    assert max(map(len, folded.splitlines())) <= 100
    assert all(row.split()[0].startswith("--") for row in folded.splitlines()[1:])
    assert shlex.split(folded.replace("\\\n", " ")) == shlex.split(line)


# ---------------------------------------------------------------- figures


@functools.cache
def drawn(section, value):
    settings = parameters.start_values() | {section: value}
    return lab_plots.Drawing().draw(section, settings, CONTEXT)


STOPS = [(name, value) for name in SECTIONS for value in parameters.PARAMETERS[name].values]


@pytest.mark.parametrize(("section", "value"), STOPS)
def test_at_every_stop_the_title_states_something_and_fits(section, value):
    figure = drawn(section, value)
    title = figure._suptitle
    assert len(title.get_text().split()) >= 4
    box = title.get_window_extent(figure.canvas.get_renderer())
    assert box.x1 <= figure.bbox.x1
    assert box.y0 >= max(ax.get_window_extent().y1 for ax in figure.axes)


def test_the_title_says_what_the_arithmetic_gives():
    def title(section, value):
        return " ".join(drawn(section, value)._suptitle.get_text().split())

    assert "25 optimiser steps" in title("num_train_epochs", 1)  # 400 records / 16
    assert "4.88 M" in title("lora_r", 16)  # of the embedded model, as peft counts
    assert "= 4:" in title("lora_alpha", 64)
    assert "65520 overflows fp16" in title("precision", "fp16")
    assert "4 points of a run of 40" in title("logging_steps", 10)
    assert "cuts 80.0 % of 100 records" in title("max_length", 64)


def test_a_drawing_is_used_again_and_shows_the_new_value():
    drawing = lab_plots.Drawing()
    settings = parameters.start_values()
    first = drawing.png("lora_alpha", settings, CONTEXT)
    second = drawing.png("lora_alpha", settings | {"lora_alpha": 64}, CONTEXT)
    assert first != second
    assert drawing.png("lora_alpha", settings, CONTEXT) == first


def test_pictures_stacked_keep_all_rows():
    from PIL import Image

    drawing = lab_plots.Drawing()
    png = drawing.png("lora_alpha", parameters.start_values(), CONTEXT)
    one, two = (Image.open(io.BytesIO(data)) for data in (png, explore.stacked(png, png)))
    assert two.size == (one.width, 2 * one.height)


# ---------------------------------------------------------------- recorded runs


def run(value, seed, loss, **more):
    made = {"parameter": "lora_r", "value": value, "seed": seed, "status": "ok", "log": LOG}
    made |= {
        "eval_loss": loss,
        "final_train_loss": loss,
        "perplexity": 2.0,
        "seconds": 10.0,
        "cpu_seconds": 10.0,
    }
    return {**made, "peak_memory_gb": 2.0, "field_f1": 0.5, "answers": [], **more}


def sweep(*losses_by_value, parameter="lora_r"):
    runs = [
        run(value, seed, loss)
        for value, losses in losses_by_value
        for seed, loss in enumerate(losses)
    ]
    return Sweep(parameter, {}, runs)


APART = sweep((4, [0.9, 0.91]), (16, [0.5, 0.52]), (64, [0.6, 0.61]))


def test_the_headline_names_the_best_value_only_beyond_the_spread_of_seeds():
    assert "lowest at lora_r 16 (0.510)" in lab_recorded.headline(APART)
    noisy = sweep((4, [0.5, 0.7]), (16, [0.55, 0.6]))
    assert "no lora_r stands out" in lab_recorded.headline(noisy)


def test_the_sentence_gives_mean_and_spread_or_the_nearest_recorded_value():
    assert "validation loss 0.510 (0.500 to 0.520)" in lab_recorded.sentence(APART, 16)
    assert "nearest to 24, at 16" in lab_recorded.sentence(APART, 24)
    assert "nearest to 40, at 64" in lab_recorded.sentence(APART, 40)  # on the log scale


def test_a_diverged_run_is_told_and_not_averaged():
    lost = run(16, 9, None, status="diverged")
    told = lab_recorded.sentence(Sweep("lora_r", {}, [*APART.runs, lost]), 16)
    assert "3 runs; 1 of them diverged" in told
    assert "0.510" in told


def test_what_the_runs_were_made_with_is_told_from_their_file():
    known = {"base_model": "b", "train_records": 48, "test_records": 24, "track": "work orders"}
    known["centre"] = parameters.start_values() | {"learning_rate": 1e-3}
    told = lab_recorded.about(known, [run(16, 1, 0.5, steps=12)])
    assert "48 training records" in told
    assert "12 optimiser steps" in told
    assert told.endswith("in: learning_rate 0.001.")
    assert "No run was recorded" in lab_recorded.about({}, [])


def test_no_run_is_said_in_words():
    assert lab_recorded.sentence(Sweep("lora_r", {}, []), 16) == (
        "No run was recorded for this parameter yet."
    )


def test_the_sliders_value_is_marked_where_it_lies_in_the_figure():
    from PIL import Image

    marked = lab_recorded.Marked(APART)
    on_it, one, beyond = (marked.png(value) for value in (16, 1024, 4096))
    assert one == beyond != on_it  # outside the axis: no line, and a note that says so
    assert [text.get_text() for text in marked._figure.texts][-1].startswith("no line: ")
    red = [
        count for count, color in Image.open(io.BytesIO(on_it)).getcolors(1 << 24)
        if color == (213, 94, 0)
    ]  # fmt: skip
    assert red
    assert red[0] > 300


@pytest.mark.parametrize("values", [("linear", "cosine", "constant_with_warmup"), (False, True)])
def test_sweeps_over_words_are_drawn_evenly(values):
    parameter = "include_mlp" if True in values else "lr_scheduler_type"
    made = sweep(*((value, [0.5, 0.6]) for value in values), parameter=parameter)
    assert lab_recorded.positions(parameter, list(values)) == [float(n) for n in range(len(values))]
    assert len(lab_recorded.plot_recorded(made).axes) == 6


def test_each_failure_has_symptom_cause_and_cure():
    gallery = lab_recorded.failures()
    assert len(gallery) >= 7
    for failure in gallery:
        text = explore.gallery_html(failure)
        assert all(f"<i>{w}</i>" in text for w in ("Symptom", "Cause", "Cure", "Recorded"))


def test_a_failure_is_told_beside_the_healthy_runs():
    wrong = [run(None, 1, None, status="diverged", error="loss is nan")]
    failure = lab_recorded.Failure("x", "T", "s", "c", "u", wrong, APART.runs)
    assert "1 of 1 ended without a usable loss" in failure.recorded()
    assert "loss is nan" in failure.recorded()
    assert len(lab_recorded.plot_failure(failure).axes) == 2


def test_a_failure_that_ended_with_a_loss_is_told_to_have_ended_high():
    log = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 9.0}, {"step": 3, "loss": 8.0}]
    wrong = [run(None, 1, 11.0, status="diverged", log=log)]
    told = lab_recorded.Failure("x", "T", "s", "c", "u", wrong, APART.runs).recorded()
    assert "1 of 1 ended far above where it began" in told
    assert "training loss up to 9.00 in step 2, from 2.00 in the first" in told
    assert "without a usable loss" not in told


def test_a_long_answer_of_the_gallery_breaks_and_cannot_smuggle_markup():
    wrong = [run(None, 1, 11.0, answers=[{"answer": '":"<b>' * 40, "reference": "", "input": ""}])]
    text = explore.gallery_html(lab_recorded.Failure("x", "T", "s", "c", "u", wrong, APART.runs))
    assert "overflow-wrap:anywhere" in text
    assert "<b>&" not in text
    assert "&lt;b&gt;" in text


def test_the_gallery_types_in_nothing_that_another_recording_would_falsify():
    """What runs did stands in the line `Recorded`, which is computed."""
    for title, *texts in lab_recorded.TEXTS.values():
        assert not any(word in " ".join(texts) for word in ("this run", "the runs ended", "ended "))
        assert title
    rate = sweeps.FAILURES["learning_rate_times_10"][0]["learning_rate"]
    assert rate == 10 * max(sweeps.VALUES["learning_rate"])


def test_the_section_on_lengths_warns_of_cut_answers(lab):
    assert lab.warnings("max_length") == []
    lab.set(max_length=64)
    assert any("cuts 80%" in text for text in lab.warnings("max_length"))
