"""What a run evaluates: every model and pair, ways between single pairs, surfaces.

``pairs`` fills a store, ``adaptive`` chooses the points that a gap needs; ``ways`` and ``surfaces``
measure beside the pairs, ``refinement`` chooses the points that a surface needs.
"""
