"""Ask a trained adapter your questions, beside the base model and the expected answers.

python inference_lora.py --adapter adapter/ --questions test_questions.jsonl
python inference_lora.py --adapter adapter/ --questions held_out.jsonl --out held_out_answers.json

A question is a JSON line: instruction, context, expected (and answer, filled in here). Records
with instruction, context and answer do as well: then `answer` is what is expected. Writes the
answers with scores to answers.json, and fills `answer` in a file of questions. Beside both models
stand cheap rivals, fitted to the training records in seconds: what needs no language model.
"""

import argparse
from pathlib import Path

from course_utils import (
    chat,
    files,
    generation,
    hardware,
    lab_questions,
    lab_runs,
    models,
    ownership,
    privacy,
    provenance,
    scripts,
)


def read_arguments(given=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--adapter", type=Path, default=Path("adapter"), help="its folder")
    parser.add_argument("--questions", type=Path, required=True, help="JSON lines, see above")
    parser.add_argument(
        "--records", type=Path, help="what the rivals learn from (default: the adapter's records)"
    )
    parser.add_argument("--out", type=Path, help="default: answers.json beside the questions")
    parser.add_argument("--base_model", help="default: the one that the adapter was trained on")
    parser.add_argument("--max_new_tokens", type=int, default=64, help="longest answer, in tokens")
    parser.add_argument("--batch_size", type=int, default=16, help="questions at once")
    parser.add_argument("--system", help="system message (default: the one used in training)")
    parser.add_argument("--show", type=int, default=5, help="answers to print")
    return parser.parse_args(given)


def ask(model, tokenizer, records, options, text):
    """Greedy answers, and the likelihood of the expected ones: what perplexity is made of."""
    prompts = [chat.record_messages(record, tokenizer)["prompt"] for record in records]
    answers = generation.generate_answers(
        model, tokenizer, prompts, options.max_new_tokens, options.batch_size, text
    )
    tokens = [chat.tokenize_record(record, tokenizer) for record in records]
    nll, counts = generation.completion_nll(model, tokenizer, tokens, options.batch_size)
    return {"answers": answers, "nll": nll, "tokens": counts}


def main(given=None):
    options = read_arguments(given)
    generation.require_positive(
        batch_size=options.batch_size, max_new_tokens=options.max_new_tokens
    )
    questions = lab_questions.read_questions(options.questions)
    models.require_adapter(options.adapter)
    target = options.out or options.questions.with_name("answers.json")
    ownership.check_file(target, "rename it, or name another file with --out")
    base_model, system = lab_questions.defaults(options)
    records = [question.record(system) for question in questions]
    trained_on = lab_questions.training_records(options)
    lab_runs.use_free_cores()
    tokenizer = models.load_tokenizer(base_model)
    precision, reason = hardware.choose_precision(hardware.detect())
    print(f"{len(records)} questions to {base_model}, {precision}: {reason}")

    quantized = lab_runs.quantized_like(options.adapter, precision)
    base = models.load_model(base_model, precision, quantized)
    model = models.load_adapter(base, options.adapter)
    asked = provenance.of_weights(options.adapter)
    tuned_columns = ask(model, tokenizer, records, options, "tuned model")
    with model.disable_adapter():  # the same weights without the adapter: the base model
        base_columns = ask(model, tokenizer, records, options, "base model")

    cheap = lab_questions.rivals(questions, trained_on)
    content = lab_questions.compare(questions, base_columns, tuned_columns, cheap)
    content = {"made_by": ownership.MAKER} | content
    content |= {"base_model": models.id_of(base_model), "system": system}
    content["adapter"] = privacy.shown(options.adapter)
    content["max_new_tokens"] = options.max_new_tokens
    content["prints"] = {"adapter": asked}  # whose answers these are
    files.write_json_atomic(target, content)
    print(lab_questions.table(content, options.show))
    if lab_questions.fill(options.questions, questions, tuned_columns["answers"]):
        print(f"Filled in: {options.questions}")
    print(f"Answers and scores: {target}")


if __name__ == "__main__":
    with scripts.command_line():
        main()
