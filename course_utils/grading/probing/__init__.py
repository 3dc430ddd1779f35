"""What a submission's adapter answers: asked by a process of the grader's own, in the sandbox.

Imports grading's cache, assignments, execution and the core. Read evidence.py (the grader's side)
first; inside.py runs in the sandbox, and gets records and an adapter's files, never student code.
"""
