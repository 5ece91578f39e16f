"""Where a key lives: partitioners, tokens, the token map, preference lists."""
