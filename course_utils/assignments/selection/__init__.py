"""Model selection: the same baseline over several candidates, each in a process of its own.

    result = selection.run_comparison(Path("runs/my-run"), precisions=["fp32", "nf4"], records=40)
    rich.print(selection.comparison_table(result))

A candidate is a base model in one precision. A process of its own makes the measured memory that
candidate's alone, and turns a crash into a row. What cannot run here stays in the table with the
reason. Perplexity counts tokens, so it compares precisions of one model; bits per byte compare
models with different tokenizers. Read comparison.py first.
"""

# What notebooks and `course compare-models` use by the package's name.
from course_utils.assignments.selection.candidates import PRECISIONS
from course_utils.assignments.selection.comparison import run_comparison
from course_utils.assignments.selection.report import comparison_table, plot_model_comparison

__all__ = ["PRECISIONS", "comparison_table", "plot_model_comparison", "run_comparison"]
