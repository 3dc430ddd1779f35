"""`accelerate launch` of the assignment's train.py: two processes learn what one would.

Real processes on this machine, joined over the loopback interface; the GPU configurations are
checked against the installed accelerate (there is no GPU here to run them).
"""

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from course_utils import training
from course_utils.errors import CourseError
from course_utils.records import write_records

ROOT = Path(__file__).parents[3]
ASSIGNMENT = ROOT / "assignments" / "week09_10_manufacturing"
SCRIPT = ASSIGNMENT / "solution" / "scripts" / "train.py"
CONFIGS = ASSIGNMENT / "bonuses" / "distributed"
CONFIG_FILES = sorted(CONFIGS.glob("*.yaml"))
ONE_BATCH = ["--set", "gradient_accumulation_steps=1"]  # a step is one batch of each process
STEPS = 18  # 24 records in batches of 4, 3 epochs; a checkpoint every 6
LORA = """\
base_model: nano
precision: fp32
r: 4
lora_alpha: 8
target_modules: [q_proj, v_proj]
lora_dropout: 0.0
learning_rate: 0.01
num_train_epochs: 3
max_length: 256
train_records: 24
val_records: 8
evaluations: 3
early_stopping_patience: 3
"""
# Two processes add up the same numbers in another order: sums of two records each, then of the
# two sums. fp32 keeps 7 digits, so a loss near 10 may differ in the 6th; Adam's division by small
# gradients makes a little more of it in weights of up to 0.3 over 18 steps.
LOSS_TOLERANCE = 1e-4
WEIGHT_TOLERANCE = 1e-4


def submission(folder: Path) -> Path:
    """A submission folder with a configuration and records of the equipment manuals."""
    from course_utils.tracks.manufacturing.manuals import manual_drafts

    records = [draft.record for draft in manual_drafts(seed=42)]
    short = [r for r in records if len(r["instruction"] + r["input"] + r["output"]) < 300]
    write_records(folder / "data" / "train.jsonl", short[:40])
    write_records(folder / "data" / "val.jsonl", short[40:60])
    (folder / "configs").mkdir()
    (folder / "configs" / "lora_config.yaml").write_text(LORA, encoding="utf-8")
    return folder


def command(processes: int, *arguments: str, script: Path = SCRIPT) -> list[str]:
    if processes == 1:
        return [sys.executable, "-u", str(script), *arguments]
    launch = [sys.executable, "-u", "-m", "accelerate.commands.launch", "--config_file"]
    return [*launch, str(CONFIGS / "cpu_2_processes.yaml"), str(script), *arguments]


def start(given: list[str]) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "CUDA_VISIBLE_DEVICES": ""}
    if sys.platform == "linux":
        environment["GLOO_SOCKET_IFNAME"] = "lo"
    return subprocess.Popen(
        given, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        encoding="utf-8", errors="replace", start_new_session=True,
    )  # fmt: skip


def finish(process: subprocess.Popen, expected: int = 0) -> str:
    try:
        printed = process.communicate(timeout=300)[0]
    finally:
        stop(process)
    assert process.returncode == expected, printed[-3000:]
    return printed


def stop(process: subprocess.Popen) -> None:
    """End what is left of a launcher and its processes, if anything is."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def train(folder: Path, processes: int, *more: str) -> str:
    batch = ["--set", f"per_device_train_batch_size={4 // processes}", *ONE_BATCH]
    return finish(start(command(processes, "--folder", str(folder), *batch, *more)))


def result(folder: Path) -> dict:
    return json.loads((folder / "run" / "training.json").read_text(encoding="utf-8"))


def losses(folder: Path) -> dict[int, float]:
    return {entry["step"]: entry["loss"] for entry in result(folder)["log"] if "loss" in entry}


def largest_difference(one: Path, other: Path) -> float:
    """Between the weights of two adapters."""
    from safetensors.torch import load_file

    name = Path("models") / "finetuned_model" / "adapter_model.safetensors"
    first, second = load_file(one / name), load_file(other / name)
    assert first.keys() == second.keys()
    return max(float((first[key] - second[key]).abs().max()) for key in first)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, nano_model_path: Path) -> Path:
    """One process, batch 4."""
    folder = submission(tmp_path_factory.mktemp("alone"))
    train(folder, processes=1)
    return folder


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, nano_model_path: Path) -> tuple[Path, str]:
    """Two processes, batch 2 each, and what they printed."""
    folder = submission(tmp_path_factory.mktemp("pair"))
    return folder, train(folder, processes=2)


def test_two_processes_take_as_many_steps_over_the_same_records(alone: Path, pair: tuple) -> None:
    one, two = result(alone), result(pair[0])
    assert (one["processes"], two["processes"]) == (1, 2)
    assert one["steps"] == two["steps"] == STEPS
    assert one["tokens"] == two["tokens"]


def test_every_logged_loss_is_that_of_one_process(alone: Path, pair: tuple) -> None:
    assert len(losses(alone)) == STEPS
    assert losses(pair[0]) == pytest.approx(losses(alone), abs=LOSS_TOLERANCE)
    assert losses(alone)[STEPS] < losses(alone)[1] - 0.1  # it did learn


def test_final_weights_and_validation_loss_are_those_of_one_process(
    alone: Path, pair: tuple
) -> None:
    assert largest_difference(alone, pair[0]) < WEIGHT_TOLERANCE
    one, two = result(alone)["eval_loss"], result(pair[0])["eval_loss"]
    assert two == pytest.approx(one, abs=LOSS_TOLERANCE)


def test_only_one_process_writes_and_reports(alone: Path, pair: tuple) -> None:
    def files(folder: Path) -> list[str]:
        found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        own = ("rng_state", "events.out")  # of each process; named by time and process
        return sorted(str(path) for path in found if not path.name.startswith(own))

    folder, printed = pair
    assert files(folder) == files(alone)
    assert len(list(folder.rglob("events.out*"))) == 1
    assert len(list(folder.rglob("rng_state_*.pth"))) == 2 * 2  # of two kept checkpoints
    assert printed.count("Adapter: ") == 1


def test_interrupted_pair_resumes_at_its_checkpoint_and_ends_alike(
    pair: tuple, tmp_path: Path
) -> None:
    folder = submission(tmp_path)
    batch = ["--set", "per_device_train_batch_size=2", *ONE_BATCH]
    process = start(command(2, "--folder", str(folder), *batch))
    try:
        seen = 0
        for line in process.stdout:
            seen += line.count("'loss': ")
            if seen > 6:  # step 7: the checkpoint of step 6 is written
                break
        os.killpg(process.pid, signal.SIGINT)  # Ctrl-C in the terminal
        rest = process.communicate(timeout=120)[0]
    finally:
        stop(process)
    assert seen == 7, rest[-3000:]
    assert not (folder / "run" / "training.json").exists()
    train(folder, 2, "--resume")
    step = result(folder)["resume"]["resumed_from"]
    assert 6 <= step < STEPS
    assert step % 6 == 0
    assert losses(folder) == pytest.approx(losses(pair[0]), abs=LOSS_TOLERANCE)
    assert largest_difference(folder, pair[0]) < WEIGHT_TOLERANCE


def test_mistake_in_the_configuration_is_told_once(tmp_path: Path) -> None:
    folder = submission(tmp_path)
    given = command(2, "--folder", str(folder), "--set", "learning_ratee=1")
    printed = finish(start(given), expected=1)
    errors = [line for line in printed.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert "did you mean learning_rate?" in errors[0]
    assert printed.count("Traceback") <= 1  # accelerate's own, behind the message


# What rank 0 decides, all get; then rank 0's CourseError, all raise. One line in all.
DECIDE = """
import sys
from accelerate import PartialState
from course_utils.errors import CourseError
from course_utils.training import first_decides, processes

def fail():
    raise CourseError(f"process {rank} failed", "cure")

PartialState(cpu=True)
rank, world = processes()
got = [first_decides(lambda: f"decided by {rank}")]
try:
    first_decides(fail)
except CourseError as error:
    got += [error.message, error.cure]
open(f"{sys.argv[1]}/{rank}", "w").write("|".join(got))
PartialState().destroy_process_group()
"""


def test_first_process_decides_for_both_and_its_error_reaches_both(tmp_path: Path) -> None:
    script = tmp_path / "decide.py"
    script.write_text(DECIDE, encoding="utf-8")
    finish(start(command(2, str(tmp_path), script=script)))
    told = [(tmp_path / str(rank)).read_text(encoding="utf-8") for rank in (0, 1)]
    assert told == ["decided by 0|process 0 failed|cure"] * 2


def test_single_process_where_accelerate_was_asked_for_two_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from accelerate.utils.launch import prepare_simple_launcher_cmd_env

    options = launch_options("--cpu", "--num_processes", "2")
    for name, value in prepare_simple_launcher_cmd_env(options)[1].items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CourseError, match="asked for several processes on the CPU and started one"):
        training.processes()


def test_checkpoint_is_whole_when_every_process_left_its_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state_0.pth"):
        (tmp_path / name).touch()
    (tmp_path / "trainer_state.json").write_text("{}", encoding="utf-8")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert not training._is_whole(tmp_path)
    (tmp_path / "rng_state_1.pth").touch()
    assert training._is_whole(tmp_path)


# ------------------------------------------------- configurations, against accelerate itself


def launch_options(*given: str):
    """What `accelerate launch` makes of its command line and configuration file."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser

    return _validate_launch_command(launch_command_parser().parse_args([*given, "train.py"]))[0]


def test_there_is_a_configuration_for_each_case() -> None:
    assert [path.stem for path in CONFIG_FILES] == [
        *("cpu_2_processes", "deepspeed_zero2", "deepspeed_zero3"),
        *("fsdp", "fsdp_qlora", "gpu_ddp", "two_machines"),
    ]


@pytest.mark.parametrize("path", CONFIG_FILES, ids=lambda path: path.stem)
def test_accelerate_knows_every_field(path: Path) -> None:
    """An unknown field of a section is no error for accelerate: it would be ignored."""
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import launch_command_parser

    config = load_config_from_file(str(path))  # raises for an unknown field at the top
    known = vars(launch_command_parser().parse_args(["train.py"])).keys()
    assert {*config.fsdp_config, *config.deepspeed_config} <= known


def test_accelerate_refuses_an_unknown_field(tmp_path: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    text = (CONFIGS / "fsdp.yaml").read_text(encoding="utf-8")
    (tmp_path / "wrong.yaml").write_text(text + "num_procs: 4\n", encoding="utf-8")
    with pytest.raises(ValueError, match="num_procs"):
        load_config_from_file(str(tmp_path / "wrong.yaml"))


@pytest.mark.parametrize(("name", "version"), [("fsdp", 2), ("fsdp_qlora", 1)])
def test_fsdp_plugin_accepts_the_values(
    name: str, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from accelerate import FullyShardedDataParallelPlugin
    from accelerate.utils.launch import prepare_multi_gpu_env

    options = launch_options("--config_file", str(CONFIGS / f"{name}.yaml"))
    for variable, value in prepare_multi_gpu_env(options).items():
        monkeypatch.setenv(variable, value)
    if version == 1:  # FSDP1 looks for the GPU at once when these are on
        monkeypatch.setenv("FSDP_SYNC_MODULE_STATES", "false")
        monkeypatch.setenv("FSDP_CPU_RAM_EFFICIENT_LOADING", "false")
    plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == version
    assert plugin.state_dict_type.name == "FULL_STATE_DICT"  # or the adapter is no single file
    assert callable(plugin.auto_wrap_policy)


def test_two_machines_meet_at_the_first_one() -> None:
    from accelerate.utils.launch import prepare_multi_gpu_env

    path = str(CONFIGS / "two_machines.yaml")
    options = launch_options("--config_file", path, "--machine_rank", "1")
    prepare_multi_gpu_env(options)
    assert (options.nnodes, options.nproc_per_node, options.node_rank) == ("2", "2", 1)
    assert options.rdzv_endpoint == "192.0.2.10:29500"


@pytest.mark.parametrize("stage", [2, 3])
def test_deepspeed_file_leaves_to_train_py_what_lora_config_says(stage: int) -> None:
    from accelerate.utils.deepspeed import HfDeepSpeedConfig

    options = launch_options("--config_file", str(CONFIGS / f"deepspeed_zero{stage}.yaml"))
    named = ASSIGNMENT / "solution" / options.deepspeed_config_file  # from the submission folder
    config = HfDeepSpeedConfig(str(named))
    assert config.get_value("zero_optimization.stage") == stage
    for field in ("train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "bf16.enabled"):
        assert config.get_value(field) == "auto"


# ------------------------------------------------- what the page and the benchmark say


def test_page_names_every_file_and_the_bytes_that_are_sent(prepared: None) -> None:
    from accelerate import init_empty_weights
    from transformers import AutoConfig, AutoModelForCausalLM

    from course_utils import models

    page = (CONFIGS / "README.md").read_text(encoding="utf-8")
    for path in CONFIGS.iterdir():
        assert f"`{path.name}`" in page or path.name == "README.md"
    with init_empty_weights():
        config = AutoConfig.from_pretrained(models.resolve(models.EMBEDDED))
        model = AutoModelForCausalLM.from_config(config)
    count = training.adapter_parameters(model, training.target_modules(include_mlp=True), 16)
    assert f"{count:,}" in page
    assert f"{count * 4 / 1e6:.1f} MB" in page


@pytest.fixture(scope="module")
def distributed_speed() -> ModuleType:
    path = ROOT / "benchmarks" / "distributed_speed.py"
    spec = importlib.util.spec_from_file_location("distributed_speed", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["distributed_speed"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_benchmark_adds_the_tokens_of_both_processes_over_one_clock(
    distributed_speed: ModuleType,
) -> None:
    shared = {"peak_memory_gb": 1.5, "losses": [2.0, 1.0], "trainable": 250_000}
    first = {"seconds": [0.5, 1.5], "tokens": [30, 50], "positions": [40, 60], **shared}
    second = {"seconds": [0.6, 1.4], "tokens": [20, 60], "positions": [40, 60], **shared}
    summary = distributed_speed.summarise(distributed_speed.Variant(2, 1), [first, second])
    assert summary["name"] == "2 processes x 1 thread"
    assert summary["tokens_per_second"] == 160 / 2.0
    assert summary["padding_share"] == pytest.approx(1 - 160 / 200)
    assert summary["adapter_megabytes"] == 1.0


def test_benchmark_compares_each_variant_with_each(distributed_speed: ModuleType) -> None:
    results = [{"name": "a", "tokens_per_second": 10.0}, {"name": "b", "tokens_per_second": 15.0}]
    compared = distributed_speed.compare(results)
    assert compared[1]["times"] == {"a": 1.5, "b": 1.0}


def test_benchmark_refuses_an_odd_batch(
    distributed_speed: ModuleType, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit):
        distributed_speed.parse_arguments(["--batch", "3"])
    assert "can't share an odd number" in capsys.readouterr().err
