"""Instruction following: instructions whose answers a small function can check, before and after.

    prompts = exercises.instruction_prompts(seed=42, count=100)      # held out
    records = exercises.instruction_records(seed=42, count=600)      # to train on
    answers = answering.answer_prompts(model, tokenizer, prompts, max_new_tokens=80)
    result = checking.check_answers(answers.texts, prompts, answers.stopped)

The idea is that of IFEval (Zhou et al. 2023, "Instruction-Following Evaluation for Large Language
Models"): no judge, only instructions that can be verified. Kinds, wordings and prompts are the
kit's own. The check sees the form of an answer, not whether it is true.

Show every kind with an example:  python -m course_utils.assignments.bonuses.instructions
"""
