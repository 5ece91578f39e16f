"""How replicas become equal again: hints, read repair, anti-entropy, refill."""
