"""The memory estimate of the parameter lab against measured peaks.

    python benchmarks/memory_estimate.py              # the table, from data/memory/measured.json
    python benchmarks/memory_estimate.py --measure    # measure the six settings again, 10 minutes
    python benchmarks/memory_estimate.py --gpu        # on a GPU: a 7B model in 4 and in 16 bit
    python benchmarks/memory_estimate.py --published  # beside figures that others measured

What is measured, and how to read it, is in benchmarks/README.md.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # works from a plain clone, installed or not

from course_utils import compat, cpu_speed, hardware, training  # noqa: E402
from course_utils.errors import CourseError  # noqa: E402
from course_utils.files import read_json, write_json_atomic  # noqa: E402
from course_utils.lab import architectures, memory, parameters  # noqa: E402
from course_utils.runs import versions  # noqa: E402
from course_utils.settings import preset_settings  # noqa: E402

EMBEDDED = "smollm2-135m-instruct"
STEPS = 3  # from the second on the optimiser's state is there, and the heap has its size
CHECKPOINTING = "gradient_checkpointing"  # not one of the 13, so it stands beside the settings
NAMES = ("batch", "length", "lora_r", "include_mlp", CHECKPOINTING, "precision", "lora_dropout")
# The constants of memory.py were not chosen with these six.
CPU_SETTINGS = (
    (4, 192, 8, True, False, "fp32", 0.0),
    (2, 384, 32, True, False, "fp32", 0.05),
    (6, 128, 16, False, False, "fp32", 0.0),
    (3, 256, 64, True, False, "bf16", 0.1),
    (4, 320, 16, True, True, "bf16", 0.0),
    (2, 256, 128, True, True, "fp32", 0.05),
)
GPU_SETTINGS = (
    ("nf4", (4, 512, 16, True, True, "bf16", 0.05)),
    ("nf4", (1, 512, 16, True, False, "bf16", 0.05)),
    ("none16", (4, 512, 16, True, True, "bf16", 0.05)),
    ("none16", (1, 512, 16, True, False, "bf16", 0.05)),
)
# GB that others measured, decimal, and what their runs were: batch, length, r (on q and v). Their
# programs differ from ours (adapters on q and v, here on all of attention), so this is no test.
PUBLISHED = (
    ("llama-2-7b", "none16", 21.33, (1, 1304, 8), "Raschka (length and batch assumed)"),
    ("llama-2-7b", "nf4", 14.18, (1, 1304, 8), "Raschka (length and batch assumed)"),
    ("mistral-7b-v0.1", "none16", 20.66, (2, 512, 32), "litgpt, config_hub, A10G"),
    ("mistral-7b-v0.1", "nf4", 14.29, (2, 512, 32), "litgpt, config_hub, A10G"),
)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--measure", action="store_true", help="the six settings, on this CPU")
    what.add_argument("--gpu", action="store_true", help="4-bit and 16-bit, on this machine's GPU")
    what.add_argument("--published", action="store_true", help="beside figures of others")
    parser.add_argument(
        "--architecture", default="mistral-7b-v0.1", help="for --gpu, random weights (%(default)s)"
    )
    parser.add_argument(
        "--out", type=Path, help="where to write (--measure: data/memory/measured.json)"
    )
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


# ---------------------------------------------------------------- parent


def request_of(values: tuple, name: str, quantization: str, device: str) -> dict[str, Any]:
    """What a child trains, as it will stand in the JSON file."""
    given = dict(zip(NAMES, values, strict=True))
    batch, length = given.pop("batch"), given.pop("length")
    checkpointing = given.pop(CHECKPOINTING)
    settings = parameters.checked(
        given | {"per_device_train_batch_size": batch, "gradient_accumulation_steps": 1}
    )
    return {
        "architecture": architectures.get(name).name,
        "quantization": quantization,
        "device": device,
        "settings": settings | {"max_length": length},
        "checkpointing": checkpointing,
    }


def measure(requests: list[dict[str, Any]]) -> dict[str, Any]:
    """Each request in a fresh process, one after the other; the content of the JSON file."""
    runs = []
    for request in requests:
        runs.append(run_child(request))
        print(row(runs[-1]), flush=True)
    return {
        "about": {
            "made_by": " ".join(["python", *sys.argv]),
            "measured": datetime.now(UTC).isoformat(timespec="seconds"),
            "peak": "cpu: VmHWM, the largest resident memory of a fresh process, loading included; "
            "cuda: torch.cuda.max_memory_allocated",
            "steps": STEPS,
            "versions": versions(),
            "hardware": hardware.detect().to_dict(),
        },
        "runs": runs,
    }


def run_child(request: dict[str, Any]) -> dict[str, Any]:
    """One measured run. Raises CourseError with the child's last line when it fails.

    Fresh, because the peak and the heap belong to a process; one thread, as the heap of several
    threads is split.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    if request["device"] == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    command = [sys.executable, str(Path(__file__).resolve()), "--child", json.dumps(request)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise CourseError(
            f"a measured process ended with code {done.returncode}: {last}",
            "was memory free? `course doctor` checks the installation",
        )
    return json.loads(lines[-1])


def row(run: dict[str, Any]) -> str:
    """One line of the table: what was trained, measured and estimated."""
    s, estimate = run["settings"], memory.estimate_for(run)
    total = estimate.total - (memory.CUDA_CONTEXT if run["device"] == "cuda" else 0)
    error = total / run["peak_gib"] - 1
    return (
        f"| {run['architecture']} | {run['quantization']} | {s['precision']} "
        f"| {s['per_device_train_batch_size']} | {run['sequence_length']} | {s['lora_r']} "
        f"| {'all' if s['include_mlp'] else 'attention'} | {s['lora_dropout']:g} "
        f"| {'yes' if run['checkpointing'] else 'no'} | {run['peak_gib']:.2f} | {total:.2f} "
        f"| {error:+.1%} |"
    )


HEADER = (
    "| model | weights | computes in | batch | length | r | adapters | dropout | checkpointing "
    "| measured, GiB | estimate, GiB | error |\n" + "|---" * 12 + "|"
)


def published() -> str:
    """Estimates beside figures of others, in decimal GB as they give them; whole logits."""
    lines = ["| model | weights | published, GB | estimate, GB | whose |\n|---|---|---|---|---|"]
    for name, quantization, theirs, (batch, length, r), whose in PUBLISHED:
        architecture = LLAMA_2 if name == "llama-2-7b" else architectures.get(name)
        settings = parameters.checked(
            {"include_mlp": False, "lora_r": r, "per_device_train_batch_size": batch}
        )
        need = memory.memory_estimate(
            architecture, quantization, settings, length, whole_logits=True
        )
        ours = need.total * hardware.GIB / 1e9
        lines.append(f"| {name} | {quantization} | {theirs} | {ours:.2f} | {whose} |")
    return "\n".join(lines)


# Llama-2-7B, from its configuration; only for this comparison.
LLAMA_2 = architectures.Architecture(
    name="llama-2-7b",
    aliases=("meta-llama/Llama-2-7b-hf",),
    source="meta-llama/Llama-2-7b-hf",
    billions=6.74,
    hidden_size=4096,
    num_hidden_layers=32,
    num_attention_heads=32,
    num_key_value_heads=32,
    head_dim=128,
    intermediate_size=11008,
    vocab_size=32000,
    tie_word_embeddings=False,
    attention_bias=False,
    file_bytes=2,
)


# ---------------------------------------------------------------- child


def child(request: dict[str, Any]) -> dict[str, Any]:
    """Train STEPS steps and read the peak."""
    return trained(request)[1]


def trained(request: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """(the trainer after its steps, what was measured). gpu_check.py goes on with its model."""
    import torch
    from transformers import set_seed

    compat.quiet_known_noise()
    hardware.keep_heap()
    torch.set_num_threads(1)
    set_seed(0)
    trainer = make_trainer(request)
    widths, tokens = [], []
    collate, vocabulary = trainer.data_collator, trainer.model.config.vocab_size

    def remember(rows: list) -> dict[str, Any]:
        batch = collate(rows)
        widths.append(batch["input_ids"].shape[1])
        tokens.append(int(batch["attention_mask"].sum()))
        for name in ("input_ids", "labels"):  # the tokenizer may know more tokens than the model
            batch[name] = batch[name].where(batch[name] < vocabulary, 0)
        return batch

    trainer.data_collator = remember
    clock = step_clock()
    trainer.add_callback(clock)
    before = resident_gib() - adapter_gib(trainer.model)
    trainer.train()
    seconds = (clock.times[-1] - clock.times[0]) / (len(clock.times) - 1)  # the first warms up
    return trainer, {
        **request,
        "sequence_length": max(widths),
        "peak_gib": round(hardware.peak_memory_gb(), 3),
        "before_first_step_gib": round(before, 3),
        "answer_share": round(answer_share(trainer), 3),
        "seconds_per_step": round(seconds, 4),
        "tokens_per_second": round(sum(tokens[1:]) / (len(tokens) - 1) / seconds, 1),
    }


def step_clock() -> Any:
    """A callback whose `times` has the moment at which each step was over."""
    import torch
    from transformers import TrainerCallback

    class StepClock(TrainerCallback):
        def __init__(self) -> None:
            self.times: list[float] = []

        def on_step_end(self, *_: Any, **__: Any) -> None:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self.times.append(time.perf_counter())

    return StepClock()


def resident_gib() -> float:
    """Memory of this process now, in GiB."""
    import psutil

    return psutil.Process().memory_info().rss / hardware.GIB


def adapter_gib(model: Any) -> float:
    """GiB of the trainable parameters."""
    trained = (p for p in model.parameters() if p.requires_grad)
    return sum(p.numel() * p.element_size() for p in trained) / hardware.GIB


def answer_share(trainer: Any) -> float:
    """Share of the positions of the records that are learned."""
    rows = trainer.train_dataset
    learned = sum(sum(label != -100 for label in row["labels"]) for row in rows)
    return learned / sum(len(row["labels"]) for row in rows)


def make_trainer(request: dict[str, Any]) -> Any:
    """SFTTrainer as the course's scripts set it up, without evaluation, checkpoints and logs."""
    import tempfile

    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    from course_utils import models

    s = request["settings"]
    tokenizer = models.load_tokenizer(EMBEDDED)
    lora_config = LoraConfig(
        r=s["lora_r"],
        lora_alpha=s["lora_alpha"],
        lora_dropout=s["lora_dropout"],
        target_modules=training.target_modules(s["include_mlp"]),
        task_type="CAUSAL_LM",
    )
    arguments = SFTConfig(
        output_dir=str(Path(tempfile.gettempdir()) / "course-memory"),  # nothing is saved
        completion_only_loss=True,
        max_length=s["max_length"],
        per_device_train_batch_size=s["per_device_train_batch_size"],
        num_train_epochs=1,
        learning_rate=s["learning_rate"],
        **compat.precision_arguments(s["precision"]),
        gradient_checkpointing=request["checkpointing"],
        train_sampling_strategy="sequential",
        pad_to_multiple_of=8,
        save_strategy="no",
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        use_cpu=request["device"] == "cpu",
    )
    trainer = SFTTrainer(
        model=make_model(request),
        args=arguments,
        train_dataset=Dataset.from_list(records(s, tokenizer, request.get("steps", STEPS))),
        processing_class=tokenizer,
        peft_config=lora_config,
    )
    compat.cast_adapters_to_fp32(trainer.model)
    cpu_speed.score_completions_only()
    return trainer


def records(s: dict[str, Any], tokenizer: Any, steps: int) -> list[dict[str, Any]]:
    """Records for so many batches: the first of each is as long as max_length allows, others less.

    Their words do not matter to memory. About a seventh of each is the answer.
    """
    from course_utils import chat

    words = ["pump", "was", "leaking", "oil", "and", "had", "to", "be", "replaced"] * 400
    found = []
    for index in range(steps * s["per_device_train_batch_size"]):
        share = 1.0 if index % s["per_device_train_batch_size"] == 0 else 0.6 + 0.1 * (index % 4)
        low, high = 3, len(words)
        while high - low > 1:  # the most words whose record is not longer than wanted
            middle = (low + high) // 2
            record = sentence(words, middle)
            fits = chat.count_tokens(record, tokenizer) <= share * s["max_length"]
            low, high = (middle, high) if fits else (low, middle)
        found.append(chat.record_messages(sentence(words, low), tokenizer))
    return found


def sentence(words: list[str], count: int) -> dict[str, str]:
    answer = " ".join(words[: max(3, count // 6)])
    return {"instruction": "Find it.", "input": " ".join(words[:count]), "output": answer}


def make_model(request: dict[str, Any]) -> Any:
    """The embedded model, or on a GPU one of random weights in the wanted shape.

    `real` in the request loads a model that is here as the notebooks do, 4-bit included.
    """
    from course_utils import models

    name, precision = request["architecture"], request["settings"]["precision"]
    if request.get("real"):
        quantization = "nf4" if request["quantization"] == "nf4" else "none"
        wanted = {"base_model": name, "precision": precision, "quantization": quantization}
        return models.load_base(preset_settings("t4").with_changes(**wanted))
    if name == EMBEDDED:
        return models.load_model(EMBEDDED, precision)
    return random_model(request)


def shape_of(request: dict[str, Any]) -> architectures.Architecture:
    """The shape that is trained; `tiny` in the request keeps the kind and makes it small."""
    line = architectures.get(request["architecture"])
    if not request.get("tiny"):
        return line
    nano = architectures.get("nano")
    sizes = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
    sizes += ("head_dim", "intermediate_size", "vocab_size")
    return replace(line, **{name: getattr(nano, name) for name in sizes})


def random_model(request: dict[str, Any]) -> Any:
    """A Llama-like model with random weights, made on the device piece by piece; 4-bit if wanted.

    Memory depends on shapes and number formats alone, so nothing has to be downloaded.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    from course_utils import models

    line, device = shape_of(request), request["device"]
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
    names += ("head_dim", "intermediate_size", "vocab_size", "tie_word_embeddings")
    # The one difference of the families here: Qwen2's queries, keys and values have biases.
    kinds = (Qwen2Config, Qwen2ForCausalLM) if line.attention_bias else (
        LlamaConfig, LlamaForCausalLM,
    )  # fmt: skip
    config = kinds[0](**{name: getattr(line, name) for name in names})
    dtype = models.dtype_of(request["settings"]["precision"])
    with torch.device("meta"):
        model = kinds[1](config).to(dtype)
    if request["quantization"] == "nf4":
        put_in_4_bit(model, device, dtype)
    for name, parameter in list(model.named_parameters()):
        if parameter.device.type == "meta":
            set_parameter(model, name, random_tensor(parameter.shape, device, dtype))
    model.tie_weights()
    rotary = model.model.rotary_emb
    model.model.rotary_emb = type(rotary)(config).to(device)
    return model.eval()


def random_tensor(shape: Any, device: str, dtype: Any) -> Any:
    import torch

    return torch.randn(shape, dtype=dtype, device=device) * 0.02


def set_parameter(model: Any, name: str, tensor: Any) -> None:
    """Replace a parameter by its dotted name."""
    import torch

    owner, _, last = name.rpartition(".")
    setattr(model.get_submodule(owner), last, torch.nn.Parameter(tensor, requires_grad=False))


def put_in_4_bit(model: Any, device: str, dtype: Any) -> None:
    """nf4 with double quantization for all linear layers but the output layer, as when loading."""
    import bitsandbytes as bnb
    import torch

    for name, module in list(model.named_modules()):
        if not isinstance(module, torch.nn.Linear) or name.endswith("lm_head"):
            continue
        layer = bnb.nn.Linear4bit(
            module.in_features,
            module.out_features,
            bias=module.bias is not None,
            compute_dtype=dtype,
            compress_statistics=True,
            quant_type="nf4",
            device="meta",
        )
        layer.weight = bnb.nn.Params4bit(
            random_tensor(module.weight.shape, device, dtype),
            requires_grad=False,
            compress_statistics=True,
            quant_type="nf4",
            module=layer,
        ).to(device)
        owner, _, last = name.rpartition(".")
        setattr(model.get_submodule(owner), last, layer)


# ---------------------------------------------------------------- entry point


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 done, 1 a CourseError (two lines, no traceback), 2 wrong usage."""
    options = parse_arguments(arguments)
    try:
        if options.child:
            print(json.dumps(child(json.loads(options.child))))
        elif options.published:
            print(published())
        elif options.measure or options.gpu:
            write(options)
        else:
            print(HEADER)
            for run in memory.read_measured()["runs"]:
                print(row(run))
    except CourseError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


def write(options: argparse.Namespace) -> None:
    """Measure, print the table, write the file."""
    out = options.out or memory.MEASURED_FILE
    if options.measure:
        quantization = {"fp32": "none32", "bf16": "none16"}
        requests = [
            request_of(values, EMBEDDED, quantization[values[5]], "cpu") for values in CPU_SETTINGS
        ]
    else:
        if hardware.detect().gpu_name is None:
            raise CourseError("there is no CUDA GPU here", "run it on a machine with one")
        out = options.out or ROOT / "runs" / "memory_gpu.json"
        requests = [
            request_of(values, options.architecture, quantization, "cuda")
            for quantization, values in GPU_SETTINGS
        ]
    print(HEADER)
    result = measure(requests)
    if out.is_file():  # what is not made by this command stays
        result = read_json(out) | result
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json_atomic(out, result)
    print(f"written to {out}")


if __name__ == "__main__":
    sys.exit(main())
