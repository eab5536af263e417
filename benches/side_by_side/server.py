"""An nginx with TLS on loopback and static responses, and the environment of a client of it.

Reads the variable BENCH_DIR, the directory for generated files, and BENCH_BIN, that of programs."""

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from responses import CLUSTER

HERE = Path(__file__).parent
WORK = Path(os.environ["BENCH_DIR"])
BIN = Path(os.environ["BENCH_BIN"])
# Where each process has its HOME: in memory if possible. On ext4, creating a file takes the longer the more
# files were deleted in the last minutes, by any program.
HOMES = Path("/dev/shm") if Path("/dev/shm").is_dir() else WORK
# Two hosts, because the API and its token endpoint have different ones.
API = "127.0.0.1"
LOGIN = "127.0.0.2"


@contextlib.contextmanager
def environment(responses: str, port: int, directory: Path) -> Iterator[dict[str, str]]:
    """Yields the environment of a client, with a HOME of its own, so that its token cache is empty."""
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPYCACHEPREFIX": str(WORK / "pycache"),
        "BENCH_CLUSTER": CLUSTER,
        "BENCH_BODY": str(directory / "responses" / responses / "clusters"),
        "CAMUNDA_CONSOLE_BASE_URL": f"https://{API}:{port}/{responses}",
        "CAMUNDA_OAUTH_URL": f"https://{LOGIN}:{port}/oauth/token",
        "CAMUNDA_CUSTOM_ROOT_CERT_PATH": str(directory / "ca.pem"),
    }
    # The SDK reads the second pair if the token endpoint is not the default one.
    for prefix in ("CAMUNDA_CONSOLE", "ZEEBE"):
        variables[f"{prefix}_CLIENT_ID"] = "bench"
        variables[f"{prefix}_CLIENT_SECRET"] = "correct horse battery staple"
    with tempfile.TemporaryDirectory(dir=HOMES) as home:
        yield {**variables, "HOME": home}


@contextlib.contextmanager
def server(directory: Path) -> Iterator[int]:
    """Starts nginx with TLS on loopback and static responses. Yields its port."""
    subprocess.run([sys.executable, HERE / "responses.py", directory / "responses"], check=True)
    make_certificates(directory)
    for _ in range(5):
        with socket.socket() as free:
            free.bind((API, 0))
            port = free.getsockname()[1]
        configuration = directory / "nginx.conf"
        configuration.write_text(NGINX.format(directory=directory, port=port, api=API, login=LOGIN))
        nginx = subprocess.Popen(["nginx", "-e", directory / "error.log", "-c", configuration])
        try:
            if responds(nginx, port, directory):
                yield port
                return
        finally:
            nginx.send_signal(signal.SIGTERM)
            nginx.wait()
    sys.exit("nginx did not start: " + (directory / "error.log").read_text())


NGINX = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
events {{}}
http {{
  access_log off;
  default_type application/json;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  open_file_cache max=16;
  keepalive_requests 1000000;
  server {{
    listen {api}:{port} ssl;
    listen {login}:{port} ssl;
    ssl_certificate {directory}/server.pem;
    ssl_certificate_key {directory}/server.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    root {directory}/responses;
    location = /oauth/token {{
      # nginx rejects a POST to a static file.
      error_page 405 =200 $uri;
    }}
  }}
}}
"""


def responds(nginx: subprocess.Popen[bytes], port: int, directory: Path) -> bool:
    """Waits until the server responds or exits."""
    trust = ssl.create_default_context(cafile=str(directory / "ca.pem"))
    while nginx.poll() is None:
        try:
            urllib.request.urlopen(f"https://{LOGIN}:{port}/oauth/token", context=trust).close()
            return True
        except OSError:
            time.sleep(0.01)
    return False


def make_certificates(directory: Path) -> None:
    """Creates a CA and a certificate for the loopback addresses."""

    def openssl(*arguments: str) -> None:
        subprocess.run(
            ["openssl", *arguments], cwd=directory, check=True, stderr=subprocess.DEVNULL
        )

    def key(name: str) -> tuple[str, ...]:
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", name)

    ca = ("-days", "2", "-subj", "/CN=bench CA", "-out", "ca.pem")
    openssl("req", "-x509", *key("ca.key"), *ca)
    openssl("req", *key("server.key"), "-subj", "/CN=bench", "-out", "server.csr")
    names = directory / "names"
    names.write_text(f"subjectAltName=IP:{API},IP:{LOGIN}\nbasicConstraints=CA:FALSE\n")
    issue = ("-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2", "-extfile", "names")
    openssl("x509", "-req", "-in", "server.csr", *issue, "-out", "server.pem")
