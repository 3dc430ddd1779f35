"""The speed benchmark: its arithmetic on made-up numbers, and one real run on the nano model."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from course_utils import hardware

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "train_speed.py"


@pytest.fixture(scope="module")
def train_speed() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_speed", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["train_speed"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def start(*arguments: str, **variables: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "COURSE_THREADS": "1", "OMP_NUM_THREADS": "1", **variables}
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, encoding="utf-8", timeout=3000
    )


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict, Path]:
    """What a smoke test prints and writes; the environment tries to help the plain script."""
    out = tmp_path_factory.mktemp("benchmark") / "speed.json"
    done = start("--quick", "--out", str(out), MALLOC_TOP_PAD_="268435456")
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(out.read_text(encoding="utf-8")), out


def test_quick_run_ends_with_the_path_and_leaves_only_the_result(quick: tuple) -> None:
    printed, _, out = quick
    assert printed.splitlines()[-1] == f"written to {out}"
    assert list(out.parent.iterdir()) == [out]


def test_plain_script_comes_first_and_the_kit_has_a_row_for_each_precision(quick: tuple) -> None:
    _, report, _ = quick
    bf16 = hardware.has_bf16_flag(_cpuinfo())
    kit = ["kit fp32", "kit bf16"] if bf16 else ["kit fp32"]
    assert [result["name"] for result in report["variants"]] == ["plain script", *kit]


def _cpuinfo() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def test_all_variants_train_on_the_same_text(quick: tuple) -> None:
    _, report, _ = quick
    tokens = {result["all_real_tokens"] for result in report["variants"]}
    assert len(tokens) == 1
    assert tokens.pop() > 5 * 2 * 20  # 5 steps of 2 records; the instruction alone is longer


def test_only_the_plain_script_pads_to_max_length(quick: tuple) -> None:
    plain, *kit = quick[1]["variants"]
    positions = plain["real_tokens"] / (1 - plain["padding_share"])
    assert positions == pytest.approx(4 * 2 * 128)
    assert all(result["padding_share"] < plain["padding_share"] / 2 for result in kit)


def test_only_the_kit_starts_with_the_allocator_settings(quick: tuple) -> None:
    _, report, _ = quick
    plain, *kit = report["variants"]
    assert plain["allocator"] == {}
    expected = hardware.kernel_environment(hardware.Hardware(**report["hardware"]), 1)
    for result in kit:
        assert result["allocator"] == {k: v for k, v in expected.items() if "MALLOC" in k}


def test_only_the_kit_adapts_all_linear_layers(quick: tuple) -> None:
    """nano: hidden 64, key/value 32, MLP 128, two layers; LoRA adds r (in + out) each."""
    plain, *kit = quick[1]["variants"]
    q, v, mlp = 16 * (64 + 64), 16 * (64 + 32), 16 * (64 + 128)
    assert plain["trainable_parameters"] == 2 * (q + v)
    assert {result["trainable_parameters"] for result in kit} == {2 * (2 * q + 2 * v + 3 * mlp)}


def test_variants_start_from_the_same_loss_and_the_kit_lowers_it(quick: tuple) -> None:
    plain, *kit = quick[1]["variants"]
    start_loss = plain["evaluations"][0]["loss"]
    for result in kit:
        # bf16 keeps 8 bits of a number: 0.4 % of each logit, less in their mean
        assert result["evaluations"][0]["loss"] == pytest.approx(start_loss, rel=1e-3)
        assert result["evaluations"][-1]["loss"] < start_loss


def test_flop_of_a_step_contain_every_matrix_product_of_the_model(quick: tuple) -> None:
    """Worked out by hand for the plain script on nano, where each step has 2 x 128 positions."""
    plain = quick[1]["variants"][0]
    positions, hidden, kv, mlp, vocabulary, layers = 2 * 128, 64, 32, 128, 49152, 2
    linear = layers * (2 * hidden * hidden + 2 * hidden * kv + 3 * hidden * mlp)
    # A product costs 2 FLOP for each pair; forward and input gradient (frozen: no weight
    # gradient). The first layer's inputs need none, which the tolerance covers, as it does LoRA.
    frozen = 2 * 2 * positions * (linear + hidden * vocabulary)
    attention = layers * (2 + 5) * 2 * positions * 128 * hidden  # 5: the backward computes QK again
    assert plain["flops_per_step"] == pytest.approx(frozen + attention, rel=0.03)


def test_shares_and_times_fit_together(quick: tuple) -> None:
    for result in quick[1]["variants"]:
        rate = result["flops_per_step"] / result["step_seconds_median"] / 1e9
        assert result["achieved_gflops"] == pytest.approx(rate)
        share = rate / result["matrix_gflops"][result["precision"]]
        assert result["matrix_share"] == pytest.approx(share)
        assert len(result["step_seconds"]) == 4
        assert result["tokens_per_second"] == pytest.approx(
            result["real_tokens"] / sum(result["step_seconds"])
        )
        assert result["evaluations"][-1]["seconds"] == pytest.approx(result["training_seconds"])


def test_peak_memory_is_the_training_process_own(quick: tuple) -> None:
    """Importing torch and transformers alone takes some 0.4 GiB; the parent imports neither."""
    for result in quick[1]["variants"]:
        assert 0.3 < result["memory_before_training_gb"] <= result["peak_memory_gb"] < 4


def evaluations(*pairs: tuple[float, float]) -> list[dict[str, float]]:
    return [{"seconds": seconds, "loss": loss} for seconds, loss in pairs]


def test_seconds_to_loss_lie_between_the_two_evaluations(train_speed: ModuleType) -> None:
    curve = evaluations((0, 4.0), (10, 2.0), (20, 1.0))
    assert train_speed.seconds_to_loss(curve, 3.0) == 5
    assert train_speed.seconds_to_loss(curve, 1.25) == 17.5
    assert train_speed.seconds_to_loss(curve, 1.0) == 20


def test_seconds_to_loss_take_the_first_time_it_was_reached(train_speed: ModuleType) -> None:
    curve = evaluations((0, 4.0), (10, 2.0), (20, 3.0), (30, 1.0))
    assert train_speed.seconds_to_loss(curve, 3.0) == 5


def test_loss_that_was_not_reached_has_no_seconds(train_speed: ModuleType) -> None:
    assert train_speed.seconds_to_loss(evaluations((0, 4.0), (10, 2.0)), 1.9) is None


def variant(tokens_per_second: float, *pairs: tuple[float, float]) -> dict:
    return {
        "tokens_per_second": tokens_per_second,
        "training_seconds": pairs[-1][0],
        "evaluations": evaluations(*pairs),
    }


def test_ratios_are_those_to_the_plain_script(train_speed: ModuleType) -> None:
    plain, fast, stuck = train_speed.compare(
        [
            variant(20, (0, 4.0), (100, 2.0)),
            variant(80, (0, 4.0), (10, 2.0), (20, 1.0)),
            variant(60, (0, 4.0), (30, 3.0)),
        ]
    )
    assert plain["times_the_text_per_second"] == plain["times_sooner_at_target"] == 1
    assert (fast["times_the_text_per_second"], fast["times_sooner_at_target"]) == (4, 10)
    assert stuck["times_sooner_at_target"] is None
    assert train_speed.time_cell(stuck) == "not reached in 30 s"


def test_plain_script_that_learned_nothing_gives_no_ratio(train_speed: ModuleType) -> None:
    plain, kit = train_speed.compare(
        [variant(20, (0, 4.0), (100, 4.5)), variant(80, (0, 4.0), (10, 2.0))]
    )
    assert plain["seconds_to_target"] == 0
    assert kit["times_sooner_at_target"] is None


def test_given_options_win_over_quick(train_speed: ModuleType) -> None:
    options = train_speed.parse_arguments(["--quick", "--steps", "7"])
    assert (options.steps, options.preset, options.batch) == (7, "nano", 2)


@pytest.mark.parametrize("value", ["0", "-3", "2.5", "many"])
def test_wrong_counts_are_wrong_usage(train_speed: ModuleType, value: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        train_speed.parse_arguments([f"--steps={value}"])
    assert stopped.value.code == 2


def test_output_that_is_a_folder_fails_before_any_work(
    train_speed: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert train_speed.main(["--quick", "--out", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith(f"Error: {tmp_path}: is a folder\nCure: ")
    assert printed.out == ""


def test_problem_found_by_a_child_comes_back_as_two_lines(tmp_path: Path) -> None:
    done = start("--quick", "--preset", "npu", "--out", str(tmp_path / "speed.json"))
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "Error: there is no preset 'npu'"
    assert done.stderr.splitlines()[1].startswith("Cure: ")
    assert list(tmp_path.iterdir()) == []


def test_dead_child_names_its_last_line_and_its_log(
    train_speed: ModuleType, tmp_path: Path
) -> None:
    log = tmp_path / "speed.kit-fp32.log"
    log.write_text("Traceback ...\nValueError: no such layer\n\n", encoding="utf-8")
    error = train_speed.child_failed("kit fp32", 1, log)
    assert error.message == "kit fp32: the process ended with code 1: ValueError: no such layer"
    assert str(log) in error.cure
    assert "memory ran out" in train_speed.child_failed("plain script", -9, log).message
