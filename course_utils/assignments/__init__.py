"""Hand-outs, rubrics, checklists, and what the scripts of the assignments share.

Imports lab, tracks and the core. Read checklist.py first.
"""
