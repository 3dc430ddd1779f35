"""ROUGE as an `evaluate` metric that needs no network: rouge_score does the counting.

    evaluate.load("course_utils/evaluate_modules/rouge")

The loader finds the imports of this file with a regular expression, so one import stands on a line.
"""

import datasets
import evaluate
from rouge_score import rouge_scorer

_DESCRIPTION = """
ROUGE-1, ROUGE-2 and ROUGE-L (0 to 1): the F measure of the shared words, the shared word pairs and
the longest common subsequence of words; the mean over the records.
"""

_INPUTS = """
Args:
    predictions (list of str): one generated text a record.
    references (list of str, or list of lists of str): the expected text, or several of which the
        best counts.
    use_stemmer (bool): cut English word endings first; off by default.
Returns:
    rouge1, rouge2, rougeL (0 to 1).
"""

_CITATION = """
Lin (2004): ROUGE, a package for automatic evaluation of summaries. Text Summarization Branches Out.
"""

_TYPES = ("rouge1", "rouge2", "rougeL")


class Rouge(evaluate.Metric):
    """Mean F measures; each record's numbers equal `rouge_scorer.RougeScorer.score`."""

    def _info(self):
        text = datasets.Value("string")
        several = datasets.Features({"predictions": text, "references": datasets.Sequence(text)})
        one = datasets.Features({"predictions": text, "references": text})
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=[several, one],
        )

    def _compute(self, predictions, references, use_stemmer=False):
        scorer = rouge_scorer.RougeScorer(_TYPES, use_stemmer=use_stemmer)
        totals = dict.fromkeys(_TYPES, 0.0)
        for prediction, reference in zip(predictions, references, strict=True):
            targets = [reference] if isinstance(reference, str) else list(reference)
            for name, score in scorer.score_multi(targets, prediction).items():
                totals[name] += score.fmeasure
        return {name: float(total) / len(predictions) for name, total in totals.items()}
