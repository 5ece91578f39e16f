"""Measure a ring beside redis-server, in the same minutes on the same machine: `make bench`."""
