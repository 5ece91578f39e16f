"""The HTTP door: status page, metrics, and what the command line asks."""
