"""The geology track: minerals, spectra, sensors and methods.

Imports what tracks share, and the core. Read track.py first; the sentences of the records stand in
data/wordings/geology, the facts in data/knowledge/geology.
"""
