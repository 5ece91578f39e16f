"""What nodes say to each other: frames, messages, the handshake, requests under way."""
