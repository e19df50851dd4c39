"""nginx as a WebSocket tunnel: the floor that others are measured from."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from .process import Process

SBIN = "/usr/sbin"  # where Debian has it, though not on every PATH

CONFIG = """\
daemon off;
worker_processes 1;
pid {work_dir}/nginx.pid;
error_log stderr warn;
{user}
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {work_dir}/nginx_body;
  proxy_temp_path {work_dir}/nginx_proxy;
  fastcgi_temp_path {work_dir}/nginx_fastcgi;
  uwsgi_temp_path {work_dir}/nginx_uwsgi;
  scgi_temp_path {work_dir}/nginx_scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{upstream_port};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      proxy_buffering off;
      proxy_read_timeout 1h;
    }}
  }}
}}
"""


def find_nginx() -> str | None:
    """Return where nginx is, if it is installed."""
    return shutil.which("nginx") or shutil.which("nginx", path=SBIN)


def nginx_version(binary: str) -> str:
    """Return its version as it tells it."""
    told = subprocess.run([binary, "-v"], capture_output=True, text=True, check=True).stderr
    return told.strip().rpartition("/")[2]


def start_nginx(binary: str, upstream_port: int, work_dir: Path) -> tuple[Process, int]:
    """Start it on a free port, with one worker as we have one."""
    port = _free_port()
    config = work_dir / "nginx.conf"
    config.write_text(
        CONFIG.format(
            work_dir=work_dir,
            port=port,
            upstream_port=upstream_port,
            user="user root;" if os.geteuid() == 0 else "",  # the directory is its owner's only
        )
    )
    command = [binary, "-c", str(config), "-p", str(work_dir), "-e", "stderr"]
    process = Process.start(command, work_dir, "nginx")
    while process.popen.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process, port
        time.sleep(0.01)
    process.read_line()  # which says why it ended
    raise AssertionError("unreachable: a process that ended has no line")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
