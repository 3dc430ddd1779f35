"""The parameter lab: 13 parameters, what follows by arithmetic, and the recorded runs.

Imports the core. Read parameters.py first.
"""
