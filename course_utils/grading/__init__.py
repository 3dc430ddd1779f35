"""The grader: a class of submissions, what was found of each, and what people read and mark.

Imports assignments, endpoint, execution, lab, tracks and the core, never commands or reports. Read
results.py first: it is what the graders of a submission write and all other files read.
"""
