"""Checks that ask a model, or run what was handed in, in the sandbox; for both assignments."""
