"""Makes a stand-in for the Dockerfile's base image out of Debian packages, where no registry is.

It is tagged as the Dockerfile's FROM names it, so that the Dockerfile is built as it stands.
"""

import re
import shutil
import subprocess
from pathlib import Path

from .buildah import COMMAND_TIMEOUT_S, Buildah

# What the official Python image has of use here: the interpreter, venv, pip, authorities to trust.
PACKAGES = ("python3", "python3-venv", "python3-pip", "ca-certificates")

# What the packages leave behind and no process reads: half of the size, copied at every layer.
LEFT_OVER = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale")

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def base_of(dockerfile: Path) -> str:
    """The one base image that every stage of the Dockerfile starts from."""
    stages = re.finditer(r"^FROM (\S+)", dockerfile.read_text(), flags=re.MULTILINE)
    bases = {stage[1] for stage in stages}
    assert len(bases) == 1, f"the stages start from different images: {bases}"
    return bases.pop()


def debian_release(tag: str) -> str:
    """The Debian release that the tag ends in: `bookworm` of `python:3.11-slim-bookworm`."""
    return tag.rpartition("-")[2]


def ensure_base(buildah: Buildah, tag: str, root: Path) -> None:
    """Put an image called `tag` into the store, unless it is there; made in `root`."""
    if buildah.has_image(tag):
        return
    shutil.rmtree(root, ignore_errors=True)
    root.parent.mkdir(parents=True, exist_ok=True)
    _debootstrap(debian_release(tag), root)
    container = buildah("from", "scratch")
    buildah("add", "--quiet", container, root, "/")
    buildah("config", "--env", PATH, container)
    buildah("commit", "--quiet", "--rm", container, tag)
    shutil.rmtree(root)


def _debootstrap(release: str, root: Path) -> None:
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", release]
    mirror = _configured_mirror(release)
    done = subprocess.run(
        [*command, root, *([mirror] if mirror else [])],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"debootstrap failed ({done.returncode}):\n{done.stdout[-4000:]}"
    for left in LEFT_OVER:
        shutil.rmtree(root / left)
        (root / left).mkdir()


def _configured_mirror(release: str) -> str | None:
    """Where this machine's apt gets the release from; None leaves it to debootstrap."""
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(CODENAME)", "Created-By: Packages"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.splitlines()
    sites = [
        site for site, _, codename in (t.partition(" ") for t in targets) if codename == release
    ]
    return sites[0] if sites else None
