"""Running lm-eval: one model on every task of a folder, offline."""

import contextlib
import difflib
import logging
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from course_utils import compat, hardware, models
from course_utils.assignments.bonuses.harness.report import check_page
from course_utils.assignments.bonuses.harness.task_files import check_counts, read_manifest
from course_utils.errors import CourseError
from course_utils.files import write_json_atomic
from course_utils.privacy import shown
from course_utils.runs import versions

LM_EVAL = "lm-eval==0.4.13"


def require_lm_eval() -> Any:
    """The module lm_eval; CourseError with the command that installs it when it is not there."""
    try:
        import lm_eval
        import lm_eval.models.huggingface  # noqa: F401  a part of it that needs more packages
        import lm_eval.tasks  # noqa: F401
    except ImportError as error:
        raise CourseError(
            f"the benchmark needs lm-eval, which can't be imported ({error})",
            f"pip install {LM_EVAL}   (or: pip install -r requirements-bonus.txt)",
        ) from None
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    return lm_eval


def run_benchmark(
    base_model: str,
    adapter: Path | None,
    tasks_folder: Path,
    limit: int | None = None,
    batch_size: int = 8,
    out: Path | None = None,
    hub_tasks: Sequence[str] = (),
    chat: bool = False,
) -> dict[str, Any]:
    """Score one model on every task of a folder; `adapter` is a PEFT folder, None the base model.

    `limit` asks the first so many questions of each task, `hub_tasks` adds lm-eval's own tasks
    (their questions come from the Hub), `chat` puts each question into the chat template. The
    result holds, for each task, the scores and which questions were right; `out` saves it as JSON.
    Raises CourseError where somebody wrote words of their own into the page beside `out`.
    """
    check_counts(limit)
    if out:
        check_page(Path(out).parent)
    manifest = read_manifest(tasks_folder)
    manager = _task_manager(tasks_folder, hub_tasks)
    model, precision = _harness_model(base_model, adapter, batch_size)
    names = [*manifest["tasks"], *hub_tasks]
    started, tasks = time.perf_counter(), {}
    with _quiet_offline(offline=not hub_tasks):
        for number, name in enumerate(names, 1):
            about = manifest["tasks"].get(name, {})
            print(f"[{number}/{len(names)}] {about.get('title', name)}", flush=True)
            for task, scores in _run_task(model, manager, name, limit, chat, manifest["seed"]):
                tasks[task] = {"title": about.get("title", task), **scores}
                tasks[task]["held_out"] = about.get("held_out", False)
    result = {
        "system": "tuned" if adapter else "base",
        "base_model": models.id_of(str(base_model)),
        "adapter": shown(adapter) if adapter else None,
        "tasks_folder": shown(Path(tasks_folder).resolve()),
        **{"limit": limit, "batch_size": batch_size, "chat": chat, **precision},
        **{"seed": manifest["seed"], "shots": manifest["shots"]},
        "sources": {
            one["title"]: f"{one['source']}; licence: {one['licence']}"
            for one in manifest["tasks"].values()
        },
        "tasks": tasks,
        "seconds": round(time.perf_counter() - started, 1),
        **_machine(),
    }
    if out:
        write_json_atomic(Path(out), result)
    return result


def _machine() -> dict[str, Any]:
    from importlib import metadata

    return {
        "versions": versions() | {"lm_eval": metadata.version("lm_eval")},
        "hardware": hardware.detect().to_dict(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _task_manager(folder: Path, hub_tasks: Sequence[str]) -> Any:
    """lm-eval's index of tasks; its own ten thousand are read only when one is wanted."""
    require_lm_eval()
    from lm_eval.tasks import TaskManager

    if hub_tasks and not models.hub_reachable():
        raise CourseError(
            f"the task {hub_tasks[0]} takes its questions from the Hub, which can't be reached",
            "leave out --hub-task: the kit's own tasks need no network",
        )
    manager = TaskManager(include_path=str(folder), include_defaults=bool(hub_tasks))
    check_known(hub_tasks, manager.all_tasks)
    return manager


def check_known(names: Sequence[str], known: Sequence[str]) -> None:
    """CourseError for a task name that lm-eval does not know, with the names most like it."""
    for name in names:
        if name not in known:
            like = ", ".join(difflib.get_close_matches(name, known, 3)) or "none alike"
            raise CourseError(
                f"lm-eval has no task named {name}", f"did you mean: {like}? See: lm-eval ls tasks"
            )


def _harness_model(
    base_model: str, adapter: Path | None, batch_size: int
) -> tuple[Any, dict[str, str]]:
    """The model inside lm-eval's class for Hugging Face models, and the precision with its reason.

    lm-eval could load both by itself (pretrained=, peft=); the kit's loader says what is wrong.
    """
    compat.quiet_known_noise()
    from lm_eval.models.huggingface import HFLM

    precision, reason = hardware.choose_precision(hardware.detect())
    tokenizer = models.load_tokenizer(base_model)
    model = models.load_model(base_model, precision)
    if adapter:
        from safetensors import SafetensorError

        try:
            model = models.load_adapter(model, adapter)
        except (SafetensorError, OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
            raise CourseError(
                f"{adapter}: this adapter can't be put on {base_model} "
                f"({(str(error).splitlines() or ['?'])[0][:160]})",
                "give the base model that it was trained on, and a folder with "
                "adapter_config.json and adapter_model.safetensors",
            ) from None
    # Likelihoods in float32: in bfloat16 those around -20 lie 0.125 apart, and choices tie.
    harness = HFLM(
        pretrained=model, tokenizer=tokenizer, batch_size=batch_size, softmax_dtype="float32"
    )
    return harness, {"precision": precision, "precision_reason": reason}


@contextlib.contextmanager
def _quiet_offline(offline: bool) -> Iterator[None]:
    """No network for tasks on disk: `datasets` reports even a local file to a download counter."""
    import datasets
    from datasets import config

    bars = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    before = (config.HF_HUB_OFFLINE, config.HF_UPDATE_DOWNLOAD_COUNTS)
    config.HF_HUB_OFFLINE = offline or config.HF_HUB_OFFLINE
    config.HF_UPDATE_DOWNLOAD_COUNTS = False
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE, config.HF_UPDATE_DOWNLOAD_COUNTS = before
        if bars:
            datasets.enable_progress_bars()


def _run_task(
    model: Any, manager: Any, name: str, limit: int | None, chat: bool, seed: int
) -> list[tuple[str, dict[str, Any]]]:
    """(task, scores) of one name; a Hub name such as "mmlu" may stand for a group of tasks."""
    lm_eval = require_lm_eval()
    started = time.perf_counter()
    try:
        loaded = manager.load([name])
    except (OSError, ValueError, ImportError) as error:  # a Hub task whose data can't be had
        raise CourseError(
            f"the task {name} could not be loaded ({str(error).splitlines()[0][:160]})",
            "leave out --hub-task, or check the network and your access to its data set",
        ) from None
    for task in loaded["tasks"].values():
        if task.get_config("num_fewshot") is None:
            task.set_config(key="num_fewshot", value=0)
        task.set_fewshot_seed(seed=seed)
    # simple_evaluate would do the same, and ask git and pip about this machine for every task.
    output = lm_eval.evaluate(
        model, loaded, limit=limit, bootstrap_iters=100, apply_chat_template=chat
    )
    seconds = time.perf_counter() - started
    asked = sum(map(len, output["samples"].values()))
    scored = []
    for task, samples in output["samples"].items():
        scores = _scores(task, output["results"][task], samples)
        scored.append((task, {**scores, "seconds": round(seconds * len(samples) / asked, 1)}))
    return scored


def _scores(
    task: str, results: Mapping[str, Any], samples: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """lm-eval's means and standard errors, with each question's hash and whether it was right."""
    samples = sorted(samples, key=lambda sample: sample["doc_id"])
    if "acc" not in samples[0]:
        raise CourseError(
            f"{task} is scored by {', '.join(samples[0]['metrics'])}, not by accuracy",
            "choose a multiple-choice task (one with acc)",
        )
    scores: dict[str, Any] = {"n": len(samples)}
    for metric in [metric for metric in ("acc", "acc_norm") if metric in samples[0]]:
        scores[metric] = results[f"{metric},none"]
        scores[f"{metric}_stderr"] = results[f"{metric}_stderr,none"]
    return scores | {
        "chance": statistics.fmean(1 / len(sample["filtered_resps"]) for sample in samples),
        "asked": [sample["doc_hash"][:12] for sample in samples],
        "right": {
            metric: [int(sample[metric]) for sample in samples]
            for metric in ("acc", "acc_norm")
            if metric in samples[0]
        },
    }
