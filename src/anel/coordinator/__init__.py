"""One client request, from its door to the replicas and back."""
