"""Anel: one masterless ring of equal peers, behind the protocols that clients already speak."""

__version__ = "0.1.0"
