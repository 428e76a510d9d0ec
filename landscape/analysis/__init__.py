"""What the losses of a store mean: barriers, basins, statistics."""
