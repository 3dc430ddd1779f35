"""Plumbing for the fine-tuning course: the notebooks import it, and `course` runs it.

Nothing heavy is imported here: torch and transformers load where they are used, so
`import course_utils` stays well under 0.3 s.
"""

__version__ = "0.1.0"
