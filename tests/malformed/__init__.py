"""Malformed inputs: each gives one error that names its place, and does no harm."""
