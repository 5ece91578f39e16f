"""The protocols that clients speak: bytes in, requests and bytes out."""
