"""How RocksDB is set up, in its own options format: rocksdict has no setter for half of it.

A node is to stay within 50 MB, so buffers and caches are small; writes must never stall the
loop, so RocksDB's own brakes are far away, and a write that would wait is refused
(`no_slowdown`).

Source: RocksDB 9.8 (options.h, advanced_options.h); CORRECTNESS 6.
"""

from pathlib import Path

from rocksdict import Cache, Options, Rdict, WriteOptions

BLOCK_CACHE_BYTES = 8 << 20
STATES_FAMILY = "meta"  # On disk since format 1: never rename.

_FAMILY = """
[CFOptions "{name}"]
  write_buffer_size={buffer_bytes}
  max_write_buffer_number=4
  memtable_prefix_bloom_size_ratio=0.05
  memtable_whole_key_filtering=true
  compression={compression}
  level0_file_num_compaction_trigger=4
  level0_slowdown_writes_trigger=64
  level0_stop_writes_trigger=96
  target_file_size_base=8388608
  max_bytes_for_level_base=33554432
  ttl=0
[TableOptions/BlockBasedTable "{name}"]
  filter_policy=bloomfilter:10:false
  block_size=4096
  checksum=kXXH3
"""

_OPTIONS = """[Version]
  rocksdb_version=9.8.4
  options_file_version=1.1
[DBOptions]
  wal_recovery_mode=kTolerateCorruptedTailRecords
  track_and_verify_wals_in_manifest=true
  paranoid_checks=true
  db_host_id=anel
  max_open_files=-1
  max_background_jobs=2
  max_total_wal_size=25165824
  manifest_preallocation_size=65536
  keep_log_file_num=2
  max_log_file_size=1048576
  stats_dump_period_sec=0
  stats_persist_period_sec=0
  allow_concurrent_memtable_write=false
  enable_write_thread_adaptive_yield=false
"""

_CONFIG = (
    '{"raw_mode":true,"prefix_extractors":{}}'  # rocksdict's own file: keys are plain bytes.
)


def options_text(compression: str = "kLZ4Compression") -> str:
    """Write the whole options file."""
    families = (("default", 2 << 20), (STATES_FAMILY, 1 << 20))
    return _OPTIONS + "".join(
        _FAMILY.format(name=name, buffer_bytes=size, compression=compression)
        for name, size in families
    )


def open_database(database: Path, options: Path, *, create: bool) -> Rdict:
    """Open or create the database in a folder.

    Args:
        database: Its folder.
        options: A folder for the options file, which is how the options reach RocksDB.
        create: Make a new one; otherwise a missing file is an error.

    Raises:
        Exception: What RocksDB says, with no class of its own.
    """
    options.mkdir(exist_ok=True)
    (options / "OPTIONS-000001").write_text(options_text())
    (options / "rocksdict-config.json").write_text(_CONFIG)
    loaded, families = Options.load_latest(str(options), cache=Cache(BLOCK_CACHE_BYTES))
    loaded.create_if_missing(create)
    loaded.create_missing_column_families(create)
    handle = Rdict(str(database), options=loaded, column_families=families)
    refuse_to_wait = WriteOptions()
    refuse_to_wait.no_slowdown = True
    handle.set_write_options(refuse_to_wait)
    return handle
