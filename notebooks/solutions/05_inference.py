"""Solutions to notebook 05: python notebooks/solutions/05_inference.py runs/my-run

The second to the fourth start an endpoint; the last trains a second adapter in a copy of the run.
"""

import difflib
import sys
import time
from typing import Any

from solving import again, main, part, questions

from course_utils import chat, latency, metrics, models, serving, sources
from course_utils.errors import CourseError
from course_utils.generation import generate_answers
from course_utils.runs import Run

ANSWERS = {"my_agree": "sum(a == b for a, b in zip(on, again, strict=True))"}
OWN_ORDERS = ("drone battery swollen", "step ladder bolts loose", "conveyor belt torn")
USERS = (1, 2, 4, 8, 16)
ASKED = 16  # requests for each number of users, as many as the most users


def exercise_1(run: Run) -> dict:
    """A word that never stood in the training part is unknown; the adapter answers all the same.

    It never says "I do not know": an order about a drone gets the names of an excavator's parts. A
    part that the training records do not name cannot be told from the text by what they taught, so
    a known one comes. Look for such words before you trust an answer.
    """
    seen = {word for record in part(run, "train") for word in record["input"].lower().split()}
    model, tokenizer = _with_adapter(run)
    answers = _answers(model, tokenizer, run, _prompts(tokenizer, OWN_ORDERS))
    return {
        order: {"unknown": [w for w in order.split() if w not in seen], "answer": answer}
        for order, answer in zip(OWN_ORDERS, answers, strict=True)
    }


def exercise_2(run: Run) -> dict:
    """They differ everywhere, first of all in form: the base model talks, the tuned one fills in.

    The page shows what no score says: how the base model fails. Look for an order in which both
    name the same part in different words; there the base knew it, and training taught the form.
    """
    tokenizer = models.load_tokenizer(run.settings.base_model)
    asked = questions(part(run, "test")[:6], tokenizer)
    length = run.settings.max_new_tokens
    with serving.serve(run.folder, *_options()) as server:
        client = server.client()
        told = {
            name: [latency.of_endpoint(client, name, q, length).text for q in asked]
            for name in ("base", "tuned")
        }
    pairs = list(zip(*told.values(), strict=True))
    pairs.sort(key=lambda pair: difflib.SequenceMatcher(None, *pair).ratio())
    return {"differ": sum(base != tuned for base, tuned in pairs), "most": pairs[:3]}


def exercise_3(run: Run) -> dict:
    """Each token is cheaper, the start longer, and a second model lies in memory.

    How much cheaper is your machine's number: look whether the passes of one all lie above those of
    the other. The first start merges and converts, which takes longest; later ones find the file.
    """
    if not serving.has_llamacpp():
        raise CourseError("PyTorch serves no merged model", serving.LLAMACPP_MISSING)
    tokenizer = models.load_tokenizer(run.settings.base_model)
    asked = questions(part(run, "test")[:4], tokenizer)
    rates: dict[str, list[float]] = {}
    found: dict[str, Any] = {}
    for name, more in {"adapter": [], "merged": ["--merged"]}.items():
        with serving.serve(run.folder, *_options(), *more) as server:
            client = server.client()
            rates[name] = [
                _rate(client, question, run.settings.max_new_tokens) for question in asked
            ]
            found[name] = {"load": server.load_seconds, "megabytes": server.memory()}
    return {**found, "rates": rates, "gain": latency.compared(rates)}


def exercise_4(run: Run) -> dict:
    """The gain ends where the engine's slots or the cores are full; from there p95 alone grows.

    Requests that are answered together share the reading of the weights, so the total rises; more
    than the engine takes at once wait in a queue. Tokens per second stay level then, and the slow
    requests wait in proportion to the users.
    """
    tokenizer = models.load_tokenizer(run.settings.base_model)
    asked = (questions(part(run, "test"), tokenizer) * ASKED)[:ASKED]
    with serving.serve(run.folder, *_options()) as server:
        client = server.client()
        latency.of_endpoint(client, "tuned", asked[0], run.settings.max_new_tokens)  # warms up
        return {
            users: latency.figures(
                *latency.at_once(client, "tuned", asked, run.settings.max_new_tokens, users=users)
            )
            for users in USERS
        }


def exercise_5(run: Run) -> dict:
    """After LoRA a few answers may differ, whose ties turned; after QLoRA only measuring tells.

    On a CPU this model computes in fp32, where notebook 04 may have had bf16: that alone turns a
    tie here and there. After QLoRA the weights differ too: the adapter was trained on 4-bit ones
    and makes up for their errors, and without these the same correction may help or harm. If the
    two differ by more than the interval of notebook 04, serve the model that you scored.
    """
    test = part(run, "test")
    model, tokenizer = _with_adapter(run)
    merged = model.merge_and_unload()
    prompts = questions(test, tokenizer)
    answers = _answers(merged, tokenizer, run, prompts)
    return {
        "quantization": run.settings.quantization,
        "merged": metrics.field_f1(answers, [record["output"] for record in test]),
        "as scored in 04": run.read("evaluation.json")["tuned"]["field_f1"],
    }


def exercise_6(run: Run) -> dict:
    """The logits differ at once, the answers where that turns a token, and switching costs little.

    `set_adapter` changes which of the small matrices are added; the base model's weights are not
    touched and not read again. So one model in memory can serve many customers, each with an
    adapter of a few megabytes. Merging gives this up. The same adapter loaded twice shows nothing:
    the difference is 0.
    """
    with again(run, "03", include_mlp=False) as other:
        model, tokenizer = _with_adapter(run)
        model.load_adapter(str(other.folder / "adapter"), "other")
        model.eval()
        files = [(one.folder / "adapter" / "adapter_model.safetensors") for one in (run, other)]
        megabytes = [file.stat().st_size / 1e6 for file in files]
    prompts = _prompts(tokenizer, OWN_ORDERS)
    logits, answers, seconds = {}, {}, []
    for name in ("default", "other", "default"):
        started = time.perf_counter()
        model.set_adapter(name)
        seconds.append(time.perf_counter() - started)
        logits.setdefault(name, []).append(_logits(model, tokenizer, prompts[0]))
        answers[name] = _answers(model, tokenizer, run, prompts)
    first, back = logits["default"]
    pairs = zip(answers["default"], answers["other"], strict=True)
    return {
        "largest difference of a logit": float((first - logits["other"][0]).abs().max()),
        "after switching back": float((first - back).abs().max()),
        "answers that differ": sum(a != b for a, b in pairs),
        "of": len(prompts),
        "seconds for a switch": min(seconds),
        "megabytes": megabytes,
    }


# --- Pieces ---------------------------------------------------------------------------------------


def _options() -> list[str]:
    """Of `course serve`, as in section 7: the fast engine where it is installed."""
    return ["--format", "q8_0"] if serving.has_llamacpp() else ["--engine", "transformers"]


def _rate(client: Any, question: Any, length: int) -> float:
    return latency.figures([latency.of_endpoint(client, "tuned", question, length)])[
        "tokens_per_second"
    ]


def _with_adapter(run: Run) -> tuple[Any, Any]:
    """The model of section 1 on this machine, and its tokenizer."""
    import torch

    precision = run.settings.precision if torch.cuda.is_available() else "fp32"
    base = models.load_model(run.settings.base_model, precision)
    tokenizer = models.load_tokenizer(run.settings.base_model)
    return models.load_adapter(base, run.folder / "adapter"), tokenizer


def _prompts(tokenizer: Any, orders: tuple[str, ...]) -> list:
    records = [sources.work_order_record(text, answer="{}") for text in orders]
    return questions(records, tokenizer)


def _answers(model: Any, tokenizer: Any, run: Run, prompts: list) -> list[str]:
    limit, batch = run.settings.max_new_tokens, run.settings.eval_batch_size
    return generate_answers(model, tokenizer, prompts, limit, batch)


def _logits(model: Any, tokenizer: Any, prompt: Any) -> Any:
    import torch

    ids = torch.tensor([chat.prompt_ids(prompt, tokenizer)], device=model.device)
    with torch.no_grad():
        return model(input_ids=ids).logits.float()


if __name__ == "__main__":
    main(sys.modules[__name__])
