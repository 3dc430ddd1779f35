"""The benchmark bonus: lm-eval on real multiple-choice questions, base against tuned, offline.

python assignments/week09_10_manufacturing/bonuses/benchmark.py --adapter models/finetuned_model \
    --records data/test.jsonl --limit 100

General questions (MMLU, ARC, HellaSwag) show what tuning cost, a manufacturing task made from the
test part shows what it brought. Both models answer the same questions, so the difference is judged
question by question: its standard error is then smaller than that of two separate scores.
Read running.py first.
"""
