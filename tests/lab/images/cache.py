"""Images that are built once: named by what they are made of, whole or not there at all."""

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

HERE = Path(__file__).parent


def digest(recipe: Iterable[Path], packages: Mapping[str, str]) -> str:
    """A name for an image: the bytes of its recipe and the versions of the packages it is from."""
    total = hashlib.sha256()
    for source in sorted(recipe):
        total.update(f"{source.relative_to(HERE)}\0{source.stat().st_size}\0".encode())
        total.update(source.read_bytes())
    for name, version in sorted(packages.items()):
        total.update(f"{name}={version}\0".encode())
    return total.hexdigest()[:16]


def built_once(
    cache: Path,
    kind: str,
    recipe: Iterable[Path],
    packages: Mapping[str, str],
    build: Callable[[Path], Path],
) -> Path:
    """The image of that kind; built in a temporary folder if the cache lacks it.

    One build of a kind at a time; what a killed build left behind goes first.
    """
    cache = cache.absolute()
    cache.mkdir(parents=True, exist_ok=True)
    image = cache / f"{kind}-{digest(recipe, packages)}.qcow2"
    with (cache / f"{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if image.exists():
            return image
        for left in cache.glob(f"{kind}-building-*"):
            shutil.rmtree(left)
        folder = Path(tempfile.mkdtemp(prefix=f"{kind}-building-", dir=cache))
        try:
            made = build(folder)
            made.chmod(0o644)
            made.rename(image)
        finally:
            shutil.rmtree(folder)
    return image
