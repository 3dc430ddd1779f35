"""The parameter lab: 13 parameters, what follows by arithmetic, and the recorded runs.

Imports the core; the lab's page without server executes its notebook. Read parameters.py first.
"""
