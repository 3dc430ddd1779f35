"""The geology track: minerals, spectra, sensors and methods.

Imports what tracks share, and the core. Read track.py first.
"""
