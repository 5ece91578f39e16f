"""One node assembled from its parts, over an Env and a Store."""
