"""Checks that read files only, of both assignments, and what manual items show to a marker.

Imports the assignments' checklists, and judging's case, judgement and registry. Nothing of a
submission is run here. Read common.py first.
"""
