"""python -m course_utils.assignments.bonuses.instructions: every kind with an example."""

from course_utils.assignments.bonuses.instructions.exercises import (
    combinations,
    instruction_prompts,
    training_exercises,
)
from course_utils.assignments.bonuses.instructions.kinds import KINDS

if __name__ == "__main__":
    shown = training_exercises(0, len(combinations("train"))) + instruction_prompts(0, 40)
    for name, kind in KINDS.items():
        one = next(e for e in shown if e.constraints[0].kind == name)
        print(f"\n{name}: {kind.description}{'' if kind.trained else ' (never trained)'}")
        print(f"  {one.record['instruction']}\n  -> {one.record['output']!r}")
