"""Figures and the page, drawn from a store without torch."""
