"""Part 4: base model, cheap rivals and tuned model on held-out records, task by task.

python scripts/evaluate.py
python scripts/evaluate.py --again       # measure the baseline anew too

Writes run/baseline.json, run/evaluation.json, reports/evaluation_results.md and
reports/comparison_baseline.md.
"""

from pathlib import Path

from course_utils import (
    evaluation,
    hardware,
    models,
    ownership,
    rival_scores,
    scripts,
    writeup,
)
from course_utils.records import read_records


def measure_baseline(model, tokenizer, test, train, config, lengths):
    """The base model, asked zero-shot and few-shot (with solved examples from train).

    Returns {"zero_shot": columns and "scores", "few_shot": the same}: the columns of
    `evaluation.answer` (with `evaluation.few_shot_pool` as examples), `evaluation.score` of them.
    """
    ### BEGIN SOLUTION
    examples = evaluation.few_shot_pool(train, config.few_shot_examples, config.seed)
    baseline = {}
    for name, shown in (("zero_shot", None), ("few_shot", examples)):
        columns = evaluation.answer(
            model, tokenizer, test, lengths, config.eval_batch_size, shown, f"base {name}"
        )
        baseline[name] = {**columns, "scores": evaluation.score(test, columns)}
    ### END SOLUTION
    return baseline


def measure_rivals(train, test):
    """What needs no language model: fitted in seconds, to all of the training part."""
    return rival_scores.measure(train, test)


def measure_tuned(model, tokenizer, test, config, lengths):
    """The tuned model, asked zero-shot: it has learned what the examples had to show.

    Returns the columns of `evaluation.answer`.
    """
    ### BEGIN SOLUTION
    return evaluation.answer(
        model, tokenizer, test, lengths, config.eval_batch_size, text="tuned model"
    )
    ### END SOLUTION


def run(workspace, again=False):
    """Measure all of them on the same records, compare, write the two reports."""
    config = workspace.config
    train = read_records(workspace.data("train"), "manufacturing")
    pool = read_records(workspace.data("test"), "manufacturing")
    count, shares = config.test_records, config.test_shares
    test = evaluation.draw(pool, count, config.seed, config.tasks, by_form=True, shares=shares)
    tokenizer = models.load_tokenizer(config.base_model)
    lengths = evaluation.answer_lengths(train, tokenizer)
    model = models.load_base(workspace.run.settings)

    baseline = None if again else writeup.saved_baseline(workspace, test)
    cheap = None if again else writeup.saved_rivals(workspace, test)
    if baseline is None or cheap is None:
        cheap = measure_rivals(train, test)
        baseline = baseline or measure_baseline(model, tokenizer, test, train, config, lengths)
        writeup.write_baseline(workspace, test, baseline, cheap)
    tuned_model = models.load_adapter(model, workspace.adapter)
    tuned = measure_tuned(tuned_model, tokenizer, test, config, lengths)
    forgetting = evaluation.forgetting(tuned_model, tokenizer)
    print(writeup.write_evaluation(workspace, test, baseline, tuned, forgetting, cheap))


if __name__ == "__main__":
    with scripts.command_line():
        parser = scripts.arguments(__doc__, Path(__file__).parents[1])
        parser.add_argument("--again", action="store_true", help="do not reuse the baseline")
        workspace = scripts.open_workspace(parser, reads=["train", "test"], adapter=True)
        for page in ("evaluation_results.md", "comparison_baseline.md"):
            ownership.check_file(workspace.report(page))  # what you wrote by hand is not replaced
        hardware.keep_heap()
        run(workspace, workspace.arguments.again)
        print(f"Results: {workspace.report('evaluation_results.md')}")
        print(f"Comparison: {workspace.report('comparison_baseline.md')}")
