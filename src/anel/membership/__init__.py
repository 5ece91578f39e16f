"""Who is in the ring and who is alive: endpoint states, gossip, the failure detector."""
