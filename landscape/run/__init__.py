"""Configuration, the pipeline and the commands."""
