"""nginx as a reverse proxy and WebSocket tunnel: the floor that others are measured from."""

import os
import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path

from .process import Process, free_port, wait_until_it_listens

SBIN = "/usr/sbin"  # where Debian has it, though not on every PATH

CONFIG = """\
daemon off;
worker_processes 1;
pid {work_dir}/nginx.pid;
error_log stderr warn;
{user}
worker_rlimit_nofile 16384;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  keepalive_requests 1000000;
  client_max_body_size 0;
  client_body_temp_path {work_dir}/nginx_body;
  proxy_temp_path {work_dir}/nginx_proxy;
  fastcgi_temp_path {work_dir}/nginx_fastcgi;
  uwsgi_temp_path {work_dir}/nginx_uwsgi;
  scgi_temp_path {work_dir}/nginx_scgi;
  map $http_upgrade $connection_field {{ default "upgrade"; "" ""; }}
  upstream scripted {{
    server 127.0.0.1:{upstream_port};
    keepalive 256;
    keepalive_requests 1000000;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://scripted;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_field;
      proxy_set_header Host $http_host;
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


def start_nginx(
    binary: str, upstream_port: int, work_dir: Path, cores: Collection[int] | None = None
) -> tuple[Process, int]:
    """Start it on a free port, with one worker as we have one."""
    port = free_port()
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
    process = Process.start(command, work_dir, "nginx", cores=cores)
    wait_until_it_listens(process, port)
    return process, port
