"""The real world: sockets, clocks, threads, disks. Nothing above or below touches them."""
