"""The judge: one function a rubric item that a computer scores, and what they share.

Imports grading's results and the rooms below grading. Read case.py (what a check is given) and
judgement.py (what it answers) first; registry.py finds the checks, judge.py calls them.
"""
