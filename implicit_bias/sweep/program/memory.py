"""What a program needs of a device's memory, and what there is."""

from __future__ import annotations

from typing import Any


def needed_bytes(executable: Any) -> int:
    """What an executable needs on each of its devices: arguments + output + temporaries, + 8 MB, x 1.2."""
    analysis = executable.memory_analysis()
    sizes = ("argument_size_in_bytes", "output_size_in_bytes", "temp_size_in_bytes")
    return with_margin(sum(getattr(analysis, size, 0) for size in sizes))


def with_margin(count: int) -> int:
    return int(1.2 * (count + 8 * 2**20))


def free_memory(device: Any) -> int | None:
    """Bytes that blocks on a device may still take; None where that cannot be found out."""
    stats = device.memory_stats() if device.platform != "cpu" else None
    return stats["bytes_limit"] - stats["bytes_in_use"] if stats else _free_host_memory()


def _free_host_memory() -> int | None:
    try:
        with open("/proc/meminfo") as file:
            line = next(line for line in file if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    return int(line.split()[1]) * 1024
