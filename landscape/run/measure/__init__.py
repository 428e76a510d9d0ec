"""What a run evaluates: every model and pair, and what is measured beside them."""
