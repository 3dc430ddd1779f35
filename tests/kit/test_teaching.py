"""What the teaching texts claim about libraries and numbers, held against both."""

import re
from pathlib import Path

import nbformat
import pytest

from course_utils import kit, models, selfcheck
from course_utils.files import read_json
from course_utils.lab import architectures, arithmetic, memory, parameters
from course_utils.lab import recorded as lab_recorded
from course_utils.settings import preset_settings
from course_utils.tracks import knowledge

LAB = kit.ROOT / "notebooks" / "parameter_lab.ipynb"
SOLUTION = kit.ROOT / "assignments/week05_parameter_lab/solution/parameter_analysis.ipynb"
SWEEPS = kit.DATA / "sweeps"
QLORA = preset_settings("nano").model_copy(update={"quantization": "nf4", "precision": "fp32"})
TEXTS = sorted(
    path
    for pattern in ("notebooks/*.ipynb", "assignments/**/*.ipynb", "**/*.md", "course_utils/**/*.*")
    for path in kit.ROOT.glob(pattern)
    if path.suffix in (".ipynb", ".md", ".py", ".yaml") and "CHANGELOG" not in path.name
    and not {".venv", "runs", "tests"} & set(path.relative_to(kit.ROOT).parts)
)  # fmt: skip


def words(path: Path) -> str:
    """A file's text on one line; of a notebook its cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n".join(cell.source for cell in nbformat.reads(text, as_version=4).cells)
    return " ".join(text.split())


def section(name: str) -> str:
    """The lab's text on one parameter."""
    cells = nbformat.read(LAB, as_version=4).cells
    (text,) = [
        c.source for c in cells if c.source.startswith("## ") and f"`{name}`" in c.source[:60]
    ]
    return text


def runs(sweep: str) -> list[dict]:
    return read_json(SWEEPS / f"{sweep}.json")["runs"]


# --- warm-up, step, accumulation ---------------------------------------------------------------


def test_the_schedule_constant_of_the_library_has_no_warmup_and_the_texts_say_so():
    import torch
    from transformers import get_scheduler

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2e-4)
    get_scheduler("constant", optimizer, num_warmup_steps=10, num_training_steps=100)
    assert optimizer.param_groups[0]["lr"] == 2e-4
    assert arithmetic.learning_rate_curve(2e-4, 100, 0.1, "constant")[0] == 2e-4
    assert "those runs had none" in section("warmup_ratio")
    assert "constant, which ignores it" in words(SOLUTION)
    assert "constant, which ignores it" in parameters.PARAMETERS["warmup_ratio"].source


def test_no_text_says_that_qlora_warmed_up():
    claim = re.compile(r"0\.03, as QLoRA|QLoRA warms up|QLoRA for warm-up")
    assert claim.search("a low learning rate (QLoRA warms up for 3 %)")
    assert [path for path in TEXTS if claim.search(words(path))] == []


def test_adamw_moves_a_weight_by_the_learning_rate_however_long_its_gradient():
    import torch

    for length in (1e-3, 1.0, 1e3):
        weight = torch.nn.Parameter(torch.zeros(1))
        weight.grad = torch.full((1,), length)
        torch.optim.AdamW([weight], lr=1e-3, weight_decay=0.0).step()
        assert weight.item() == pytest.approx(-1e-3, rel=1e-3)
    assert "however long the gradient is" in section("learning_rate")
    assert "along the gradient" not in section("learning_rate")


def test_no_number_of_the_recorded_runs_is_typed_into_lab_solution_or_messages():
    """Sweeps are recorded again: what they show is printed from the files, never written down."""
    typed = re.compile(r"recorded [^.]{0,60}?\d+\.\d|\d+ s of processor time|\d\.\d+ GiB")
    assert typed.search("the recorded validation loss is 2.09 in place of 1.38")
    messages = kit.ROOT / "course_utils" / "lab" / "messages.yaml"
    assert [path for path in (LAB, SOLUTION, messages) if typed.search(words(path))] == []
    assert "it costs no time" in section("gradient_accumulation_steps")


# --- the libraries' defaults, number formats, padding ------------------------------------------


def test_the_defaults_are_those_of_the_library_that_is_named():
    from peft import LoraConfig
    from trl import ModelConfig, SFTConfig

    trl = {name: field.default for name, field in SFTConfig.__dataclass_fields__.items()}
    scripts, adapter = ModelConfig(), LoraConfig()
    assert (trl["num_train_epochs"], trl["learning_rate"], adapter.lora_dropout) == (3, 2e-5, 0)
    assert "TRL 1.16 trains three epochs at 2e-5" in words(LAB)
    assert (
        f"PEFT 0.21 makes an adapter with r {adapter.r}, alpha {adapter.lora_alpha} and no dropout "
        f"(TRL's own scripts: r {scripts.lora_r}, alpha {scripts.lora_alpha}, dropout "
        f"{scripts.lora_dropout})"
    ) in words(LAB)


def test_the_example_of_rounding_is_what_the_formats_do():
    (row,) = arithmetic.format_table([65520])
    assert "65520 to become infinity in fp16, and to be rounded to 65536 in bf16" in words(LAB)
    assert "inf" in str(row).lower()
    assert "65536" in str(row)


def test_a_record_alone_is_padded_to_the_multiple_that_the_training_uses():
    (number,) = set(re.findall(r"pad_to_multiple_of=(\d+)", section("per_device_train_batch_size")))
    assert f"pad_to_multiple_of={number}" in words(kit.ROOT / "notebooks" / "03_lora_sft.ipynb")
    assert f"multiple of {number} tokens" in section("per_device_train_batch_size")


# --- memory --------------------------------------------------------------------------------------


def known_shapes() -> list[models.BaseModel]:
    names = {alias for a in architectures.registry().values() for alias in (a.name, *a.aliases)}
    return [model for model in models.registry().values() if model.name in names]


@pytest.mark.parametrize("model", known_shapes(), ids=lambda model: model.name)
def test_the_nf4_column_counts_what_stays_in_16_bit(model):
    counted = memory.weights_bytes(architectures.get(model.name), "nf4") / 2**30
    assert model.memory_gib("nf4") == pytest.approx(counted, rel=0.02, abs=0.0005)


def test_notebook_02_says_how_far_models_shrink_in_nf4():
    def percent(name: str) -> str:
        shape = architectures.get(name)
        share = memory.weights_bytes(shape, "nf4") / memory.weights_bytes(shape, "none16")
        return f"{100 * share:.0f}"

    assert (
        f"a 7B model shrinks to {percent('mistral-7b-v0.1')} to {percent('qwen2.5-7b')} %, "
        f"one of 135M to {percent('smollm2-135m-instruct')} %"
    ) in words(kit.ROOT / "notebooks" / "02_baseline.ipynb")


def memories_of_a_t4(text: str) -> set[tuple[str, str]]:
    return set(re.findall(r"T4[^.|;)\d]{0,12}?(\d+(?:\.\d+)?) ?(GiB|GB)\b", text))


def test_the_memory_of_a_t4_is_one_figure_everywhere():
    assert memories_of_a_t4("One T4 (Colab, 16 GB). A free T4, 15 GB") == {
        ("16", "GB"),
        ("15", "GB"),
    }
    told = set().union(*(memories_of_a_t4(words(path)) for path in TEXTS))
    assert told == {(f"{memory.CARDS['T4']:.1f}", "GiB")}


def test_the_page_of_the_presets_names_the_cards_memory():
    page = words(kit.ROOT / "docs" / "presets.md")
    assert f"free Colab T4, {memory.CARDS['T4']:.1f} GiB" in page
    assert f"L4, A10G, {memory.CARDS['L4']:.0f} GiB" in page


def test_a_model_on_4_bit_weights_is_another_one_than_on_the_unquantized(prepared):
    import torch

    base = models.load_model("nano", "fp32")
    rounded = models.load_base(QLORA)
    tokens = torch.arange(40)[None]
    with torch.no_grad():
        gap = (base(tokens).logits - rounded(tokens).logits).abs().max()
    assert gap > 1e-3  # rounding of a merge in fp32 is about 1e-6
    text = words(kit.ROOT / "notebooks" / "05_inference.ipynb")
    assert "this is another model than the one that notebook 04 scored" in text


def test_qlora_in_this_course_quantizes_the_scales_too():
    config = models.quantization_for(QLORA)
    assert config.bnb_4bit_use_double_quant
    text = words(kit.ROOT / "notebooks" / "03_lora_sft.ipynb")
    assert "*double quantization*, switched on below" in text
    assert "bnb_4bit_use_double_quant=True" in text


# --- the failure gallery -------------------------------------------------------------------------


def test_the_gallery_tells_the_jump_of_the_run_without_warmup_from_its_log():
    (failure,) = [f for f in lab_recorded.failures() if f.name == "no_warmup"]
    losses = [entry["loss"] for entry in failure.runs[0]["log"] if entry.get("loss") is not None]
    jumped = max(losses) > 1.05 * losses[0]
    assert jumped == (f"training loss up to {max(losses):.2f} in step" in failure.recorded())
    assert "validation loss" in failure.recorded()
    assert "(healthy: " in failure.recorded()


def test_the_healthy_runs_have_a_tenth_of_that_rate():
    (bare,) = [run for run in runs("failures") if run["parameter"] == "no_warmup"]
    rates = {run["settings"]["learning_rate"] for run in runs("start")}
    assert {10 * rate for rate in rates} == {bare["settings"]["learning_rate"]}


# --- results -------------------------------------------------------------------------------------


def test_what_training_cost_in_general_language_is_said_in_per_cent():
    page = words(kit.ROOT / "docs" / "results.md")
    first = re.search(r"from ([\d.]+) to ([\d.]+), (\d+) % more", page)
    second = re.search(r"(\d+) % more perplexity \(([\d.]+) → ([\d.]+)\)", page)
    assert round(100 * (float(first[2]) / float(first[1]) - 1)) == int(first[3])
    assert round(100 * (float(second[3]) / float(second[2]) - 1)) == int(second[1])


HANDOUT = "assignments/week09_10_manufacturing/README.md"
# The last columns of the results page: what an answer of that kind gets.
PAID = ("reference", "copy", "copy and values", "values", "majority", "denied", "turned round")


def paid(page: str, columns: int) -> dict[str, list[list[str]]]:
    """Rows of figures of a page's table on answers without understanding, by their first cell."""
    found: dict[str, list[list[str]]] = {}
    for line in (kit.ROOT / page).read_text("utf-8").splitlines():
        first, *cells = [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]
        if first.endswith(("field F1", "fact F1", "fact match")) and len(cells) == columns:
            found.setdefault(first, []).append(cells)
    return found


def results_paid() -> dict[tuple[str, str], list[dict[str, float | None]]]:
    """(task with score, form of a report) -> the figures of each row of the results page."""
    found: dict[tuple[str, str], list[dict[str, float | None]]] = {}
    for name, rows in paid("docs/results.md", 3 + len(PAID)).items():
        for _, form, _, *figures in rows:
            known = [None if figure == "–" else float(figure) for figure in figures]
            key = (name, form if name.startswith("report") else "")
            found.setdefault(key, []).append(dict(zip(PAID, known, strict=True)))
    return found


def test_the_results_show_that_no_score_pays_for_answers_without_understanding():
    found = results_paid()
    assert sum(map(len, found.values())) == 26
    for (name, form), rows in found.items():
        assert {row.pop("reference") for row in rows} == {1.0}
        limit = selfcheck.LIMIT_GIVEN if form == "figures given" else selfcheck.LIMIT
        figures = [value for row in rows for value in row.values() if value is not None]
        assert name.startswith("understanding") or max(figures) <= limit, (name, form)


def test_the_handout_names_the_most_that_the_results_show():
    wanted = {}
    for (name, form), rows in results_paid().items():
        task, score = name.split(", ")
        title = f"{task}, {form}, {score}" if form else name
        columns = ("copy", "copy and values", "majority", "reference")
        wanted[title] = [[f"{max(row[column] for row in rows):.2f}" for column in columns]]
    assert paid(HANDOUT, 4) == wanted


@pytest.mark.parametrize(
    "page", ["data/README.md", "assignments/week09_10_manufacturing/README.md"]
)
def test_the_share_of_figures_with_a_source_is_the_counted_one(page):
    cited, all_ = knowledge.count_sources(knowledge.load())
    text = words(kit.ROOT / page)
    assert f"{cited} of its {all_} figures" in text
    assert f"{100 * cited / all_:.0f} %" in text[text.index(f"{cited} of its") :][:60]
