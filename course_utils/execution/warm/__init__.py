"""Processes that start warm: forked from one that has imported what notebooks import.

Imports sandbox. Read zygote.py first: it forks keepers; child.py is a new Python in a forked child.
"""
