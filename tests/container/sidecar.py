"""Runs a container of an image as a container runtime does, where no runtime can.

`buildah run` knows no ENTRYPOINT, no PID namespace and no read-only root. This takes them from
the kernel: PID 1 of its own PID namespace, a root file system mounted read-only, the image's user
and nothing but the image's environment. The network is the host's.
"""

import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .buildah import Buildah

GUARD_S = 30

# $1 is the root file system, $2 the volume's directory here, $3 its place in the container.
MOUNT_AND_RUN = """
set -eu
root=$1 volume=$2 target=$3; shift 3
mount --bind "$root" "$root"
mount --rbind /dev "$root/dev"
mount --bind "$volume" "$root$target"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
exec chroot "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """What the Dockerfile says about running the image."""

    user: str
    env: dict[str, str]
    entrypoint: list[str]
    cmd: list[str]
    working_dir: str
    volumes: list[str]
    healthcheck: list[str]

    @classmethod
    def of(cls, buildah: Buildah, image: str) -> "ImageConfig":
        """Read it from the image."""
        config = json.loads(buildah("inspect", "--type", "image", image))["Docker"]["config"]
        return cls(
            user=config["User"],
            env=dict(entry.split("=", 1) for entry in config["Env"]),
            entrypoint=config["Entrypoint"],
            cmd=config["Cmd"],
            working_dir=config["WorkingDir"],
            volumes=list(config["Volumes"]),
            healthcheck=config["Healthcheck"]["Test"],
        )


class Sidecar:
    """A running container; `lines` are what it has written to stdout and stderr so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.lines: list[str] = []
        self._process = process
        self._unread: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        # It is read all the time, so that its pipe never fills.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for_line(self, part: str) -> str:
        """The first line not yet asked for that holds `part`."""
        while (line := self._unread.get(timeout=GUARD_S)) is not None:
            if part in line:
                return line
        raise AssertionError(f"it ended without saying {part!r}:\n{''.join(self.lines)}")

    def stop(self) -> int:
        """SIGTERM to PID 1, as `docker stop` does; its exit code."""
        # The kernel drops a signal to a PID 1 that has no handler for it.
        os.kill(self.pid_1, signal.SIGTERM)
        return self._process.wait(GUARD_S)

    def kill(self) -> None:
        """End it whatever it does; nothing happens to one that has ended."""
        # By its own number: the kernel forgets --kill-child when a process changes its user.
        for child in self._children():
            os.kill(child, signal.SIGKILL)
        self._process.wait(GUARD_S)
        self._reader.join(GUARD_S)

    @property
    def pid_1(self) -> int:
        """PID 1 of the container, by the number that it has here."""
        return self._children()[0]

    def _children(self) -> list[int]:
        """The one process that `unshare` forked; none once it has ended."""
        if self._process.poll() is not None:
            return []
        parent = self._process.pid
        listed = Path(f"/proc/{parent}/task/{parent}/children").read_text()
        return [int(child) for child in listed.split()]

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self.lines.append(line)
                self._unread.put(line)
        self._unread.put(None)


def _in_its_environment(
    config: ImageConfig, command: Sequence[str], env: Mapping[str, str]
) -> list[str]:
    """The command with the image's variables, `env` over them, and no other."""
    variables = [f"{name}={value}" for name, value in {**config.env, **env}.items()]
    return ["/usr/bin/env", "-i", f"--chdir={config.working_dir}", *variables, *command]


def start(config: ImageConfig, root: Path, volume: Path, env: Mapping[str, str]) -> Sidecar:
    """Start the image's own command on the root file system, `volume` mounted at its volume."""
    command = [*config.entrypoint, *config.cmd]
    mount_and_run = ["sh", "-c", MOUNT_AND_RUN, "sh", str(root), str(volume), config.volumes[0]]
    chroot = [f"--userspec={config.user}", "--groups=", str(root)]
    process = subprocess.Popen(
        [
            *("unshare", "--mount", "--pid", "--fork"),
            *(*mount_and_run, *chroot, *_in_its_environment(config, command, env)),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return Sidecar(process)


def run_healthcheck(sidecar: Sidecar, config: ImageConfig, env: Mapping[str, str]) -> int:
    """The exit code of the image's HEALTHCHECK command, run in the container as its user."""
    kind, *command = config.healthcheck
    assert kind == "CMD", f"a shell form needs a shell: {config.healthcheck}"
    user, _, group = config.user.partition(":")
    enter = ["nsenter", f"--target={sidecar.pid_1}", "--mount", "--pid", "--root"]
    return subprocess.run(
        [
            *(*enter, f"--setuid={user}", f"--setgid={group}"),
            *_in_its_environment(config, command, env),
        ],
        stdin=subprocess.DEVNULL,
        timeout=GUARD_S,
        check=False,
    ).returncode
