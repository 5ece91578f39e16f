"""One node's store: the port, and RocksDB and memory behind it."""
