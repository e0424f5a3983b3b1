"""Every bound and switch of fetching a model; the unit is the last word of each name."""

import msgspec

GIB = 1 << 30
CHUNK_BYTES = 1 << 20


class FetchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What one fetch may cost, and what it does with an archive."""

    # False hands an archive over as it is (`uncompress` in a service JSON).
    unpack: bool = True
    # The endpoint for oss:// paths, where the service JSON names one.
    oss_endpoint: str = ""
    connect_timeout_s: float = 15.0
    # The longest silence of a server in the middle of an answer.
    read_timeout_s: float = 60.0
    # One whole download, retries included.
    download_timeout_s: float = 4 * 3600.0
    download_bytes_max: int = 64 * GIB
    attempts_max: int = 4
    # The pause before the first retry; it doubles with each.
    retry_delay_s: float = 0.5
    unpacked_bytes_max: int = 256 * GIB
    # Beyond `unpacked_bytes_free` an archive may grow at most this many times.
    unpacked_ratio_max: int = 100
    unpacked_bytes_free: int = 2 * GIB
    entries_max: int = 200_000
    # How long to wait for another process that fetches the same thing.
    lock_timeout_s: float = 4 * 3600.0
