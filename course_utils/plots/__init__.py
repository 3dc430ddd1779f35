"""The course's figures: each function returns a matplotlib `Figure` whose title states the finding.

    from course_utils import plots
    plots.plot_length_histogram(lengths, max_length=160)      # last line of a cell: it is shown

One file a topic; what they are drawn with (colours, style, labels) lives in ../drawing.py.
"""

# What notebooks use by the package's name.
from course_utils.plots.data import plot_field_coverage, plot_length_histogram, plot_top_values
from course_utils.plots.evaluation import plot_comparison, plot_differences
from course_utils.plots.latency import plot_latency
from course_utils.plots.lora import plot_lora_parameters, plot_lora_scale, plot_lora_shapes
from course_utils.plots.training import plot_training

__all__ = [
    "plot_comparison",
    "plot_differences",
    "plot_field_coverage",
    "plot_latency",
    "plot_length_histogram",
    "plot_lora_parameters",
    "plot_lora_scale",
    "plot_lora_shapes",
    "plot_top_values",
    "plot_training",
]
