"""What a run evaluates: every model and pair, and what is measured beside them.

``pairs`` hands models and pairs to the workers, ``adaptive`` chooses the points that a gap needs,
``other_paths`` measures curves between single pairs and surfaces.
"""
