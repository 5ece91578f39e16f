"""The demo on real data: the Unicode character database through redis-py, and a kill -9."""
