"""Evaluation by people: which of two answers is better, asked without saying which model wrote it.

    made = review.make_review(records, base, tuned, seed=5127, title="Excavators r16")
    review.save_review(made, "review/")                 # send review.html, keep review_key.json
    summary = review.review_import("review/", files)    # what the reviewers sent back

Which side is the tuned model's is decided by a coin for each item. Only the key knows how it fell:
neither the page nor review.json holds it, not even the seed. The coin can be thrown again by who
has the predictions, this code and the seed, so choose a seed that the reviewers do not know.
Read making.py first.
"""

# What notebooks and `course review` use by the package's name.
from course_utils.assignments.review.folder import review_import, review_make, save_review
from course_utils.assignments.review.making import make_review
from course_utils.assignments.review.report import summary_table
from course_utils.assignments.review.summary import finding
from course_utils.assignments.review.widget import review_widget

__all__ = [
    "finding",
    "make_review",
    "review_import",
    "review_make",
    "review_widget",
    "save_review",
    "summary_table",
]
