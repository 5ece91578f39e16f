"""The imagined world: seeded, in virtual time."""
