"""Every bound in one place, each with the reason for its number.

A request that would pass a bound is refused with an error that names it; nothing is cut
silently.
"""

KIB = 1024
MIB = 1024 * KIB

# Keys and rows.
PARTITION_KEY_BYTES_MAX = 65_535  # As in Cassandra: a 16-bit length on the wire and on disk.
CLUSTERING_BYTES_MAX = 65_535  # The same, for the whole encoded clustering key.
ROW_BYTES_MAX = 16 * MIB  # A row is read and written whole; more would stall the loop.
MUTATION_RECORDS_MAX = 65_535  # A 16-bit count; more belongs into several batches.

# Between nodes.
FRAME_BYTES_MAX = 64 * MIB  # One message may carry one row of the greatest size, with room.
FRAME_TARGET_BYTES = 256 * KIB  # Messages of one tick are packed up to about this size.
PEER_QUEUE_BYTES_MAX = 64 * MIB  # Past it a peer counts as unreachable and gets hints.
CLOCK_DRIFT_MS_MAX = 500  # CORRECTNESS 9: a peer further ahead is refused.

# Requests.
REQUESTS_IN_FLIGHT_MAX = 20_000  # Per coordinator; past it Overloaded, before any work.
WRITE_TIMEOUT_MS = 2_000  # Cassandra's default write timeout.
READ_TIMEOUT_MS = 5_000  # Cassandra's default read timeout.
RANGE_RECORDS_MAX = 500  # Records in one range reply: about 1 ms of iterator time.
RANGE_BYTES_MAX = 1 * MIB  # Or this many bytes (always at least one record).
TOMBSTONES_SCANNED_MAX = 100_000  # Cassandra's failure threshold for one read.
SLICE_NS_MAX = 1_000_000  # Background work yields to clients after 1 ms (CORRECTNESS 23).

# Repair.
HINTS_BYTES_MAX_PER_NODE = 512 * MIB  # Past it hints drop: anti-entropy carries the rest.
HINT_REPLAY_IN_FLIGHT = 64  # Hints awaiting a durable ack, per target: bounds the burst.
ANTI_ENTROPY_BYTES_PER_S = 16 * MIB  # What one node sends for repair at most.

# The ring.
LEAF_BITS = 14  # 16,384 leaves of token space per table: 2**14 * 16 B is small, and a leaf of
# 10**7 rows over three nodes holds some 600 rows. Vnode tokens lie on leaf bounds.
LEAVES = 1 << LEAF_BITS
VNODES_PER_NODE = 16  # Cassandra's default: balance within a few percent when allocated.
NODES_MAX = 512  # LEAVES / VNODES_PER_NODE, halved: each vnode spans at least two leaves.

# The HTTP door.
HTTP_CONNECTIONS_MAX = 256  # People's browsers, scrapers and the command line.
HTTP_IDLE_S_MAX = 60  # Silent connections make room for others; Redis ones stay, as in Redis.
HTTP_HEAD_BYTES_MAX = 16 * KIB  # Request line and headers; browsers send 1 to 2 KiB.
HTTP_BODY_BYTES_MAX = 64 * KIB  # A keyspace's definition has 100 bytes.
HTTP_PIPELINE_MAX = 100  # Requests waiting behind one that waits for the ring.

# The Redis door.
RESP_CONNECTIONS_MAX = 10_000  # Redis's default for maxclients.
RESP_ARGUMENTS_MAX = 1_048_576  # Redis's classic bound on the words of one command.
RESP_BULK_BYTES_MAX = ROW_BYTES_MAX  # One word; a greater value could not be stored anyway.
RESP_REQUEST_BYTES_MAX = 48 * MIB  # One whole command: bounds memory, and fits one frame.
RESP_LINE_BYTES_MAX = 64 * KIB  # An inline command or a length line, as in Redis.
RESP_IN_FLIGHT_MAX = 64  # Commands of one connection under way; more wait, unread, in order.
RESP_FANOUT_MAX = 64  # Keys of one command (MGET, DEL) under way at once.
RESP_REPLY_BYTES_MAX = 64 * MIB  # One reply (KEYS, MGET); past it an error: use SCAN, or fewer.
RESP_COMMANDS_PER_SLICE = 512  # A long pipeline lets other connections run in between.
RESP_OUTPUT_BYTES_PER_SLICE = 1 * MIB  # And gives the shell a chance to hold it back.
RESP_KEYS_PER_TAG_MAX = 100_000  # SCAN never splits a token: its keys must fit one page.

# The schema. All of it goes in one message to every node at each change.
KEYSPACES_MAX = 1_000
TABLES_MAX = 2_000  # Each keeps a summary of LEAVES leaves in memory once it holds data.
SCHEMA_NAMES_MAX = 50_000  # Names ever used, dropped ones too: about 3 MB, far below a frame.
