"""BLEU as an `evaluate` metric that needs no network: sacrebleu does the counting.

    evaluate.load("course_utils/evaluate_modules/bleu")

The loader finds the imports of this file with a regular expression, so one import stands on a line.
"""

from itertools import zip_longest

import datasets
import evaluate
import sacrebleu

_DESCRIPTION = """
BLEU (0 to 100): the geometric mean of the 1- to 4-gram precisions of all predictions together,
times a penalty when they are shorter than the references. Tokenizer 13a, exponential smoothing.
"""

_INPUTS = """
Args:
    predictions (list of str): one generated text a record.
    references (list of str, or list of lists of str): the expected text or texts.
Returns:
    bleu (0 to 100), precisions (four, 0 to 100), brevity_penalty, prediction_length,
    reference_length (both in tokens).
"""

_CITATION = """
Papineni, Roukos, Ward and Zhu (2002): BLEU, a method for automatic evaluation of machine
translation. ACL. -- Post (2018): A call for clarity in reporting BLEU scores. WMT.
"""


class Bleu(evaluate.Metric):
    """Corpus BLEU; the numbers equal `sacrebleu.corpus_bleu`."""

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

    def _compute(self, predictions, references):
        references = [[r] if isinstance(r, str) else list(r) for r in references]
        # sacrebleu wants one stream for each reference number; None fills the records with fewer.
        streams = [list(stream) for stream in zip_longest(*references)]
        score = sacrebleu.corpus_bleu(list(predictions), streams)
        return {
            "bleu": score.score,
            "precisions": score.precisions,
            "brevity_penalty": score.bp,
            "prediction_length": score.sys_len,
            "reference_length": score.ref_len,
        }
