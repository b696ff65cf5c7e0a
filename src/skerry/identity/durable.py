"""Small files that are the old ones or the new ones after a crash, and nobody else's to read."""

import os
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Write a file anew, durably, for this user alone (mode 0600). Blocks. Raises OSError."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    rename(new, path)


def rename(old: Path, new: Path) -> None:
    """Put a file in the place of another, durably. Blocks. Raises OSError."""
    old.replace(new)
    folder = os.open(new.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
