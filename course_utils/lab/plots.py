"""The parameter lab's arithmetic figures: one `draw_…` function for each of the 13 sections.

    figure = lab_plots.figure_of("learning_rate", settings, lab_plots.Context(records=1000))

The title states what follows from the settings; hatches and line styles stand beside the colours.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from course_utils.drawing import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PALE,
    RED,
    SOFT,
    STYLE,
    add_grid,
    add_legend,
    compact_number,
    percent_text,
)
from course_utils.lab import architectures, arithmetic, memory
from course_utils.lab.canvas import (
    axes_on,
    line_at,
    new_figure,
    packed,
    stacked_bars,
    state_finding,
    stop_bars,
)
from course_utils.lab.parameters import PARAMETERS, text_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Settings = Mapping[str, Any]
ENOUGH_STEPS = 100  # optimiser steps to aim at (tinker's guide)
MODELS = ("smollm2-135m-instruct", "qwen2.5-1.5b", "mistral-7b-v0.1", "llama-3.1-8b")
# Modules of a transformer layer: attention in blues, MLP in warm colours; in grey they differ in
# lightness, and one has a hatch (each hatch costs a millisecond at every redraw).
MODULES = {
    "q_proj": {"color": "#084a75"},
    "k_proj": {"color": BLUE},
    "v_proj": {"color": "#56b4e9"},
    "o_proj": {"color": "#b9dff5"},
    "gate_proj": {"color": "#f6d99a"},
    "up_proj": {"color": ORANGE, "hatch": "///"},
    "down_proj": {"color": "#8a5200"},
}
MEMORY_PARTS = {
    "weights": {"color": PALE},
    "adapter": {"color": INK},
    "gradients": {"color": BLUE, "hatch": "///"},
    "optimizer": {"color": "#56b4e9"},
    "activations": {"color": ORANGE, "hatch": "xxx"},
    "logits": {"color": "#8a3300"},
    "overhead": {"color": "white", "edgecolor": SOFT},
}
QUANTIZATIONS = {"none16": "16-bit", "int8": "8-bit", "nf4": "4-bit (nf4)"}
CARD_STYLES = (":", "--", "-.", (0, (1, 3)))
# Numbers that meet a training run: an update, a weight, a loss scale, the edge of fp16.
EXAMPLE_NUMBERS = (1e-8, 2e-5, 1.001, 257.0, 2049.0, 65504.0, 65520.0)


@dataclass(frozen=True)
class Context:
    """What a panel knows beside the settings: data, model, a recorded curve."""

    records: int = 1000  # training records
    model: str = MODELS[0]
    number: float = 65520.0  # the value that the section on number formats rounds
    lengths: Sequence[int] = ()  # tokens of each record, prompt and answer
    prompt_lengths: Sequence[int] = ()
    log: Sequence[Mapping[str, Any]] = field(default=(), repr=False)  # {"step", "loss"}


class Drawing:
    """A figure that is drawn again with new settings; `png` returns its picture."""

    def __init__(self) -> None:
        self.figure = new_figure()
        self.title = ""  # what it states, once it was drawn

    def draw(self, name: str, settings: Settings, context: Context) -> "Figure":
        """The figure of section `name`, over what was drawn before."""
        import matplotlib

        with matplotlib.rc_context(STYLE):
            self.figure.clear()
            self.title = DRAW[name](self.figure, settings, context)
            state_finding(self.figure, self.title)
        return self.figure

    def png(self, name: str, settings: Settings, context: Context) -> bytes:
        """PNG bytes, lightly compressed: the time goes into drawing, not into packing."""
        import matplotlib

        self.draw(name, settings, context)
        with matplotlib.rc_context(STYLE):
            self.figure.canvas.draw()
        return packed(self.figure.canvas.buffer_rgba())


def figure_of(name: str, settings: Settings, context: Context | None = None) -> "Figure":
    """A section's figure by itself: a cell's last line shows it."""
    return Drawing().draw(name, settings, context or Context())


def _steps(settings: Settings, context: Context, **changes: Any) -> Any:
    s = {**settings, **changes}
    return arithmetic.steps(
        context.records,
        s["per_device_train_batch_size"],
        s["gradient_accumulation_steps"],
        s["num_train_epochs"],
    )


def _curve(settings: Settings, total: int, **changes: Any) -> list[float]:
    s = {**settings, **changes}
    return arithmetic.learning_rate_curve(
        s["learning_rate"], total, s["warmup_ratio"], s["lr_scheduler_type"]
    )


def _plot_rates(ax: "Axes", rates: Sequence[float], **style: Any) -> None:
    ax.plot(range(1, len(rates) + 1), rates, **style)


def _rate_axis(ax: "Axes", highest: float, last: int) -> None:
    from matplotlib.ticker import FuncFormatter

    ax.set_ylim(0, highest * 1.08 or 1)
    ax.set_xlim(0, max(last, 1) * 1.01)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _rate(value)))
    ax.set_xlabel("optimiser step")
    ax.set_ylabel("learning rate")
    add_grid(ax)


def _rate(value: float) -> str:
    return f"{value:.1e}".replace(".0e", "e").replace("e-0", "e-") if value else "0"


def _with(stops: Sequence[Any], value: Any) -> list[Any]:
    """The stops, with the chosen value among them when a command loaded another one."""
    return sorted({*stops, value})


def _times(factor: float) -> str:
    return f"{factor:.2g}" if factor < 10 else f"{factor:,.0f}"


def _plural(count: float, what: str) -> str:
    return f"{count:,g} {what}" if count == 1 else f"{count:,g} {what}s"


def draw_learning_rate(figure: "Figure", settings: Settings, context: Context) -> str:
    """The rate at each step beside that of the start value."""
    ax = axes_on(figure)
    total = _steps(settings, context).total
    start = PARAMETERS["learning_rate"].start
    rates, usual = _curve(settings, total), _curve(settings, total, learning_rate=start)
    _plot_rates(ax, usual, color=SOFT, ls="--", lw=1.8, label=f"start value {text_of(start)}")
    chosen = text_of(settings["learning_rate"])
    marker = "o" if total < 40 else ""
    _plot_rates(ax, rates, color=BLUE, lw=2.6, marker=marker, ms=4, label=f"your value: {chosen}")
    _rate_axis(ax, max([*rates, *usual]), total)
    add_legend(ax, loc="upper right")
    peak = max(rates)
    if not peak:  # the first step takes a rate of 0
        return f"The warm-up takes {_plural(total, 'step')}, all there are: the rate stays at 0"
    factor = settings["learning_rate"] / start
    than = "the start value" if factor == 1 else f"{_times(factor)} times the start value"
    step = rates.index(peak) + 1
    return f"The learning rate peaks at {_rate(peak)} in step {step} of {total}: {than}"


def draw_warmup(figure: "Figure", settings: Settings, context: Context) -> str:
    """The first steps: chosen warm-up beside the other stops of the slider."""
    ax = axes_on(figure, right=0.74)
    total, ratio = _steps(settings, context).total, settings["warmup_ratio"]
    for other in PARAMETERS["warmup_ratio"].values:
        if other != ratio:
            _plot_rates(
                ax, _curve(settings, total, warmup_ratio=other), color=PALE, lw=1.5, ls="--"
            )
    rates = _curve(settings, total)
    label = f"warmup_ratio {text_of(ratio)}"
    marker = "o" if total < 80 else ""
    _plot_rates(ax, rates, color=BLUE, lw=2.6, marker=marker, ms=4, label=label)
    ax.plot([], [], color=PALE, ls="--", label="other stops")
    count = arithmetic.warmup_steps(total, ratio)
    _rate_axis(ax, max(rates), total)
    knows = settings["lr_scheduler_type"] != "constant"
    if knows and 0 < count < total:
        full = count + 1  # the first step takes a rate of 0
        ax.axvspan(1, full, color=ORANGE, alpha=0.18, lw=0)
        ax.axvline(full, color=INK, ls=":", lw=1.6, label=f"full rate: step {full}")
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    of_all = f"of {total} optimiser steps"
    if not count:
        return f"No warm-up: the first {of_all} already takes the full learning rate"
    if knows and count >= total:
        return f"The warm-up takes {_plural(total, 'step')}, all there are: no full rate is reached"
    if not knows:
        return (
            f"The schedule `constant` knows no warm-up: warmup_ratio {text_of(ratio)} does nothing"
        )
    return (
        f"The learning rate climbs for {_plural(count, 'step')} {of_all} "
        f"({percent_text(count / total)} of the run)"
    )


SCHEDULE_STYLES = {
    "linear": (ORANGE, "--"),
    "cosine": (GREEN, "-."),
    "constant": (INK, ":"),
    "constant_with_warmup": (RED, (0, (5, 1))),
    "inverse_sqrt": (SOFT, (0, (3, 1, 1, 1))),
}


def draw_schedule(figure: "Figure", settings: Settings, context: Context) -> str:
    """All five schedules over the same steps; the chosen one is thick."""
    ax = axes_on(figure, right=0.74)
    total, chosen = _steps(settings, context).total, settings["lr_scheduler_type"]
    highest = 0.0
    for name, (color, line) in SCHEDULE_STYLES.items():
        rates = _curve(settings, total, lr_scheduler_type=name)
        style = {"color": BLUE, "lw": 3.2, "zorder": 3} if name == chosen else {}
        style = {"color": color, "ls": line, "lw": 1.6} | style
        _plot_rates(ax, rates, label=name, **style)
        highest = max([highest, *rates])
    _rate_axis(ax, highest, total)
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    rates = _curve(settings, total)
    share = sum(rates) / len(rates) / settings["learning_rate"]
    end = rates[-1] / settings["learning_rate"]
    return (
        f"{chosen}: over the run the mean is {percent_text(share)} of the full learning rate, "
        f"the last step takes {percent_text(end)}"
    )


def draw_epochs(figure: "Figure", settings: Settings, context: Context) -> str:
    """Optimiser steps for each stop of the slider."""
    ax = axes_on(figure)
    epochs = settings["num_train_epochs"]
    stops = _with(PARAMETERS["num_train_epochs"].values, epochs)
    totals = [_steps(settings, context, num_train_epochs=stop).total for stop in stops]
    stop_bars(ax, stops, totals, epochs)
    line_at(ax, ENOUGH_STEPS, f"{ENOUGH_STEPS} steps: what tinker's guide aims at")
    ax.set_xlabel("epochs (passes over the data)")
    ax.set_ylabel("optimiser steps")
    plan = _steps(settings, context)
    return (
        f"{_plural(epochs, 'epoch')} of {context.records:,} records, {plan.effective_batch} "
        f"a step: {_plural(plan.total, 'optimiser step')}"
    )


def draw_accumulation(figure: "Figure", settings: Settings, context: Context) -> str:
    """Records behind one step, and how many steps that leaves."""
    left, right = axes_on(figure, 2)
    name = "gradient_accumulation_steps"
    chosen, batch = settings[name], settings["per_device_train_batch_size"]
    stops = _with(PARAMETERS[name].values, chosen)
    sizes = [stop * batch for stop in stops]
    stop_bars(left, stops, sizes, chosen)
    line_at(left, arithmetic.LARGE_BATCH, f"{arithmetic.LARGE_BATCH}: LoRA tolerates less above")
    left.set(xlabel="batches per optimiser step", ylabel="effective batch (records)")
    totals = [_steps(settings, context, **{name: stop}).total for stop in stops]
    stop_bars(right, stops, totals, chosen)
    line_at(right, ENOUGH_STEPS, f"{ENOUGH_STEPS} steps to aim at", "upper right")
    right.set(xlabel="batches per optimiser step", ylabel="optimiser steps")
    plan = _steps(settings, context)
    return (
        f"{batch} records × {_plural(chosen, 'batch').replace('batchs', 'batches')} = effective "
        f"batch {plan.effective_batch}, which leaves {_plural(plan.total, 'optimiser step')}"
    )


def draw_memory(figure: "Figure", settings: Settings, context: Context) -> str:
    """The memory estimate, stacked, for each way of storing the base model's weights."""
    ax = axes_on(figure, left=0.105, right=0.8)
    estimates = {
        name: memory.memory_estimate(
            _architecture(context.model), name, settings, settings["max_length"], device="cuda"
        )
        for name in QUANTIZATIONS
    }
    rows = {QUANTIZATIONS[name]: estimate.parts for name, estimate in estimates.items()}
    texts = [f"{sum(parts.values()):.1f} GiB" for parts in rows.values()]
    stacked_bars(ax, rows, MEMORY_PARTS, texts, size=11, weight="bold")
    longest = max(estimate.total for estimate in estimates.values())
    limit = _draw_cards(ax, longest)
    ax.set_xlim(0, limit)
    ax.set_xlabel("GPU memory (GiB): an estimate, not measured; lines: what a card can give")
    return _memory_finding(settings, context, estimates)


def _draw_cards(ax: "Axes", longest: float) -> float:
    """A line for each card near the bars; returns the end of the axis."""
    limit = longest * 1.18
    for (name, size), line in zip(memory.CARDS.items(), CARD_STYLES, strict=False):
        if size < max(limit, 17):
            limit = max(limit, size * 1.08)
            ax.axvline(size, color=INK, ls=line, lw=1.8)
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            ax.text(size, -0.5, name, ha="center", va="center", size=10, bbox=box)
    return limit


def _memory_finding(settings: Settings, context: Context, estimates: Mapping[str, Any]) -> str:
    batch, length = settings["per_device_train_batch_size"], settings["max_length"]
    fits = [
        f"{estimate.total:.1f} GiB in {QUANTIZATIONS[name]} "
        f"({_smallest_card(estimate.total, memory.CARDS)})"
        for name, estimate in estimates.items()
        if name != "int8"
    ]
    return f"Batch {batch} × {length} tokens, {context.model}: {', '.join(fits)}"


def _smallest_card(gibibytes: float, cards: Mapping[str, float]) -> str:
    by_size = sorted(cards.items(), key=lambda card: card[1])
    name = next((name for name, size in by_size if size >= gibibytes), None)
    return f"fits {name}" if name else "fits none of them"


def _architecture(name: str) -> Any:
    return architectures.get(name)


def draw_truncation(figure: "Figure", settings: Settings, context: Context) -> str:
    """How long the records are, and what the two limits cut."""
    import numpy as np

    limit, new_tokens = settings["max_length"], settings["max_new_tokens"]
    lengths, prompts = list(context.lengths), list(context.prompt_lengths)
    left, right = axes_on(figure, 2, width_ratios=(1.25, 1), wspace=0.5)
    if not lengths:
        left.text(0.5, 0.5, "no lengths were given", transform=left.transAxes, ha="center")
        return "The lengths of your records are not known here"
    top = max(lengths)
    left.stairs(*np.histogram(lengths, np.linspace(0, top + 1, 33)), fill=True, color=PALE)
    inside = limit <= top * 1.15
    label = f"max_length {limit}" if inside else f"max_length {limit}: beyond all"
    left.axvline(limit if inside else top * 1.13, color=RED, lw=2.6, ls="-" if inside else ":",
                 label=label)  # fmt: skip
    left.set_xlim(0, top * 1.15)
    left.set(xlabel="tokens per record", ylabel="records")
    add_grid(left)
    add_legend(left, loc="upper left", fontsize=9.5)
    cut = arithmetic.truncation(lengths, prompts, limit)
    answers = [length - prompt for length, prompt in zip(lengths, prompts, strict=True)]
    shares = {
        "records cut": cut.records_cut,
        "answers cut": cut.answers_cut,
        "answer tokens lost": cut.answer_tokens_cut,
        "nothing left to learn": cut.fully_masked,
        f"answers longer than\nmax_new_tokens {new_tokens}": arithmetic.answers_cut(
            answers, new_tokens
        ),
    }
    percent = [100 * share for share in shares.values()]
    colors = [BLUE] * 4 + [ORANGE]
    bars = right.barh(range(len(percent)), percent, color=colors, height=0.66)
    bars[-1].set(hatch="///", edgecolor="white")
    right.bar_label(bars, [percent_text(p / 100, 1) for p in percent], size=10, padding=4)
    right.set_yticks(range(len(percent)), list(shares), size=9.5)
    right.invert_yaxis()
    right.set_xlim(0, 118)
    right.set_xlabel("share (%)")
    add_grid(right, "x")
    kind = f"of {len(lengths):,} records"
    if not cut.records_cut:
        return f"max_length {limit} cuts none {kind}; the longest has {top} tokens"
    return (
        f"max_length {limit} cuts {percent_text(cut.records_cut, 1)} {kind} and "
        f"{percent_text(cut.answer_tokens_cut, 1)} of all answer tokens"
    )


def draw_adapter(figure: "Figure", settings: Settings, context: Context) -> str:
    """Adapter size by module for four real architectures."""
    r = settings["lora_r"]
    sizes = {
        name: arithmetic.adapter_size(_architecture(name), r, settings["include_mlp"])
        for name in MODELS
    }
    ax = axes_on(figure, left=0.2, right=0.83)
    _adapter_bars(ax, sizes)
    ax.set_xlabel("adapter file in fp32 (MB, 4 bytes a parameter)")
    mine = sizes[context.model]
    return (
        f"r = {r} trains {compact_number(mine.parameters)} parameters of "
        f"{context.model}, {percent_text(mine.share_of_model, 1)} of the model"
    )


def _adapter_bars(ax: "Axes", sizes: Mapping[str, Any], chosen: str = "") -> None:
    """Adapters as bars of their modules, in MB, with parameters and share at the end."""
    modules = {
        name: {module: 4e-6 * count for module, count in size.by_module.items()}
        for name, size in sizes.items()
    }
    texts = [
        f"{compact_number(size.parameters)}, {percent_text(size.share_of_model, 1)}"
        + ("  (chosen)" if name == chosen else "")
        for name, size in sizes.items()
    ]
    stacked_bars(ax, modules, MODULES, texts, size=10)
    ax.set_xlim(0, max(size.megabytes for size in sizes.values()) * 1.42)


def draw_targets(figure: "Figure", settings: Settings, context: Context) -> str:
    """Attention only beside all linear layers, for one architecture."""
    ax = axes_on(figure, left=0.17, right=0.83)
    architecture, r = _architecture(context.model), settings["lora_r"]
    small, large = (arithmetic.adapter_size(architecture, r, flag) for flag in (False, True))
    names = ("attention only", "attention + MLP")
    chosen = names[bool(settings["include_mlp"])]
    _adapter_bars(ax, dict(zip(names, (small, large), strict=True)), chosen)
    ax.set_xlabel(f"adapter of {context.model}, r = {r}, in fp32 (MB)")
    share = 1 - small.parameters / large.parameters
    return (
        f"With the MLP layers the adapter is {large.parameters / small.parameters:.1f} times as "
        f"large: {percent_text(share)} of it sits there"
    )


def draw_scale(figure: "Figure", settings: Settings, context: Context) -> str:
    """The factor on the adapter's output, alpha / r, beside rsLoRA's alpha / sqrt(r)."""
    ax = axes_on(figure)
    r, alpha = settings["lora_r"], settings["lora_alpha"]
    stops = _with(PARAMETERS["lora_alpha"].values, alpha)
    plain = [arithmetic.scale(stop, r) for stop in stops]
    square = [arithmetic.rslora_scale(stop, r) for stop in stops]
    ax.plot(stops, plain, color=BLUE, marker="o", lw=2.4, label="alpha / r (LoRA)")
    ax.plot(stops, square, color=ORANGE, ls="--", marker="s", lw=1.8, label="alpha / √r (rsLoRA)")
    now = arithmetic.scale(alpha, r)
    ax.plot([alpha], [now], "o", ms=15, mfc="none", mec=RED, mew=2.6)
    # Below the rising line, but not on the axis; at the right end before the point.
    place, side = ((14, -7) if now < 2 * min(plain) else (10, -16)), "left"
    if alpha == max(stops):
        place, side = (-14, 8), "right"
    ax.annotate(f"scale {now:g}", (alpha, now), xytext=place, textcoords="offset points",
                ha=side, size=11, weight="bold")  # fmt: skip
    ax.axhline(2, color=SOFT, ls=":", lw=1.6, label="alpha = 2 r")
    ax.set_xscale("log", base=2)
    ax.set_yscale("log", base=2)
    ax.set_xticks(stops, [text_of(stop) for stop in stops])
    ax.set_xticks([], minor=True)
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set(xlabel="lora_alpha", ylabel="factor on the adapter's output")
    add_grid(ax)
    add_legend(ax, loc="upper left")
    return f"alpha {text_of(alpha)} / r {r} = {now:g}: what the adapter adds is multiplied by that"


def draw_dropout(figure: "Figure", settings: Settings, context: Context) -> str:
    """A row of adapter inputs with their dropped ones, and the noise that this makes."""
    import numpy as np

    rate = settings["lora_dropout"]
    left, right = axes_on(figure, 2, width_ratios=(1.2, 1))
    rng = np.random.default_rng(0)  # the same 200 inputs at each redraw
    kept = (rng.random((8, 25)) >= rate).astype(float)
    left.imshow(kept, cmap="Greys", vmin=-0.1, vmax=1.35, aspect="auto")
    left.set_xticks(np.arange(-0.5, 25), [])
    left.set_yticks(np.arange(-0.5, 8), [])
    left.grid(color="white", lw=1.5)
    left.tick_params(length=0)
    dropped = int((kept == 0).sum())
    left.set_xlabel(f"200 inputs of an adapter in one step: {dropped} are zero (white)")
    stops = _with(PARAMETERS["lora_dropout"].values, rate)
    noise = [100 * dropout_noise(stop) for stop in stops]
    stop_bars(right, stops, noise, rate, "{:.0f} %")
    right.set(xlabel="lora_dropout", ylabel="noise on an input (% of it)")
    if not rate:
        return "No dropout: the adapter sees every input, and a step has no noise from it"
    return (
        f"Dropout {text_of(rate)} multiplies the inputs it keeps by {1 / (1 - rate):.3g}; "
        f"the noise on each is {percent_text(dropout_noise(rate))} of it"
    )


def dropout_noise(rate: float) -> float:
    """Standard deviation of x·keep/(1 − rate) over x: the square root of rate / (1 − rate)."""
    return (rate / (1 - rate)) ** 0.5


FORMATS = ("fp32", "bf16", "fp16")

# Smallest normal and largest number, as exponents of 10 (IEEE 754; bfloat16 has fp32's exponent).
FORMAT_RANGES = {"fp32": (-37.93, 38.53), "bf16": (-37.93, 38.53), "fp16": (-4.21, 4.816)}

FORMAT_DIGITS = {"fp32": "7 digits", "bf16": "2 digits", "fp16": "3 digits"}

STATE_STYLES = {
    "ok": ("white", ""),
    "rounded": ("#fdf1d6", ""),
    "underflow": (PALE, "///"),
    "overflow": ("#f3b49a", "xxx"),
}


def draw_formats(figure: "Figure", settings: Settings, context: Context) -> str:
    """The range of each format, and what some numbers become in it."""
    import math

    left, right = axes_on(figure, 2, width_ratios=(1, 1.35), left=0.085, right=0.99, wspace=0.16)
    chosen = settings["precision"]
    for row, name in enumerate(FORMATS):
        low, high = FORMAT_RANGES[name]
        style = {"color": BLUE, "hatch": "///", "edgecolor": "white"} if name == chosen else {}
        left.barh(row, high - low, left=low, height=0.5, **({"color": PALE} | style))
    left.axvline(math.log10(abs(context.number)), color=RED, lw=2.2)
    left.set_yticks(range(3), [f"{name}\n{FORMAT_DIGITS[name]}" for name in FORMATS])
    left.invert_yaxis()
    left.set_xlabel(f"exponent of 10 a number may have; line: {_plain(context.number)}")
    _number_table(right, chosen, context.number)
    return _number_finding(chosen, context.number)


def _number_table(ax: "Axes", chosen: str, number: float) -> None:
    """Example numbers as each format keeps them; hatched where the number is lost."""
    from matplotlib.patches import Rectangle

    rows = sorted({*EXAMPLE_NUMBERS, number})
    ax.set(xlim=(0, 4), ylim=(len(rows) + 1, 0))
    ax.axis("off")
    for column, name in enumerate(FORMATS, start=1):
        weight = "bold" if name == chosen else "normal"
        ax.text(column + 0.5, 0.55, name, ha="center", va="center", size=10.5, weight=weight)
    for row, formats in enumerate(arithmetic.format_table(rows), start=1):
        value = formats["value"]
        weight = "bold" if value == number else "normal"
        text = _plain(value)
        ax.text(0.92, row + 0.5, text, ha="right", va="center", size=10, weight=weight)
        for column, name in enumerate(FORMATS, start=1):
            kept = formats[name]
            color, hatch = STATE_STYLES[kept.state]
            box = {"facecolor": color, "edgecolor": SOFT, "hatch": hatch, "lw": 0.6}
            ax.add_patch(Rectangle((column + 0.03, row + 0.06), 0.94, 0.88, **box))
            ax.text(
                column + 0.5,
                row + 0.52,
                _plain(kept.value),
                ha="center",
                va="center",
                size=9.5,
                weight=weight,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6} if hatch else None,
            )


def _plain(value: float) -> str:
    return f"{value:.6g}"


def _number_finding(chosen: str, number: float) -> str:
    kept = arithmetic.number_format(number, chosen)
    said = {
        "ok": f"{chosen} keeps {_plain(number)} as it is",
        "rounded": f"{chosen} rounds {_plain(number)} to {_plain(kept.value)}",
        "overflow": f"{_plain(number)} overflows {chosen}: it becomes infinite",
        "underflow": f"{_plain(number)} is below the normal range of {chosen}: it becomes "
        f"{_plain(kept.value)}",
    }
    return said[kept.state]


def draw_logging(figure: "Figure", settings: Settings, context: Context) -> str:
    """A recorded curve, at every step and as it looks when only each N-th line is written."""
    ax = axes_on(figure)
    every = settings["logging_steps"]
    full = [(p["step"], p["loss"]) for p in context.log if p.get("loss") is not None]
    if not full:
        ax.text(0.5, 0.5, "no recorded curve is here yet", transform=ax.transAxes, ha="center")
        return "There is no recorded curve to thin out yet"
    # As train_lora.py does: in a run that is shorter than the interval, one point at the end.
    shown = min(every, full[-1][0])
    seen = [(p["step"], p["loss"]) for p in arithmetic.logging_points(context.log, shown)]
    ax.plot(*zip(*full, strict=True), color=PALE, lw=1.8, label=f"recorded: {len(full)} points")
    if seen:
        label = f"logging_steps {every}: {_plural(len(seen), 'point')}"
        ax.plot(*zip(*seen, strict=True), color=BLUE, lw=2.2, marker="o", ms=7, label=label)
    ax.set(xlabel="optimiser step", ylabel="training loss (nats per token)")
    ax.set_ylim(0, max(loss for _, loss in full) * 1.08)
    ax.set_xlim(0, full[-1][0] * 1.02)
    add_grid(ax)
    add_legend(ax, loc="upper right")
    last = full[-1][0]
    return f"logging_steps {every} leaves {_plural(len(seen), 'point')} of a run of {last} steps"


# Section -> the function that draws it and returns the finding for the title.
DRAW: dict[str, Callable[["Figure", Settings, Context], str]] = {
    "learning_rate": draw_learning_rate,
    "warmup_ratio": draw_warmup,
    "lr_scheduler_type": draw_schedule,
    "num_train_epochs": draw_epochs,
    "gradient_accumulation_steps": draw_accumulation,
    "per_device_train_batch_size": draw_memory,
    "max_length": draw_truncation,
    "lora_r": draw_adapter,
    "include_mlp": draw_targets,
    "lora_alpha": draw_scale,
    "lora_dropout": draw_dropout,
    "precision": draw_formats,
    "logging_steps": draw_logging,
}
