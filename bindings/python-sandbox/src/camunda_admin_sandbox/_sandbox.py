"""The server process and its control API."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

_PROGRAM = "camunda-admin-sandbox"
_VARIABLE = "CAMUNDA_ADMIN_SANDBOX"

#: Permissions of credentials that `Sandbox.credentials` creates by default.
ALL_PERMISSIONS = (
    "cluster:get",
    "cluster:create",
    "cluster:update",
    "cluster:delete",
    "client:get",
    "client:create",
    "client:delete",
    "web_modeler",
    "ip_allowlist",
    "connector_secrets",
    "members",
    "backups",
    "audit_log",
    "monitoring",
)


class SandboxError(Exception):
    """The server cannot be started or does not respond."""


class ControlError(SandboxError):
    """The server rejected a control request.

    Attributes:
        status: HTTP status.
        message: message of the server.
    """

    def __init__(self, status: int, message: str) -> None:
        # The arguments are those with which `pickle` and `copy` call the constructor.
        super().__init__(status, message)
        self.status = status
        self.message = message

    def __str__(self) -> str:
        return f"control request rejected with HTTP {self.status}: {self.message}"


def find_program() -> str:
    """Return the path of the program.

    It is the one in the environment variable CAMUNDA_ADMIN_SANDBOX, else the one in the package,
    else the one in PATH.

    Raises:
        SandboxError: there is none.
    """
    configured = os.environ.get(_VARIABLE)
    if configured:
        if not os.path.isfile(configured):
            raise SandboxError(f"{_VARIABLE}: {configured} does not exist")
        return configured
    suffix = ".exe" if sys.platform == "win32" else ""
    bundled = Path(__file__).parent / "bin" / (_PROGRAM + suffix)
    if bundled.is_file():
        return str(bundled)
    found = shutil.which(_PROGRAM)
    if found is None:
        raise SandboxError(
            f"{_PROGRAM} not found; install it with `cargo install --path tests/sandbox`, "
            f"or set {_VARIABLE} to its path"
        )
    return found


@dataclass(frozen=True)
class Cluster:
    """Cluster that was created through the control API."""

    uuid: str
    _sandbox: Sandbox = field(repr=False, compare=False)

    def set_status(self, ready: str, **components: str) -> None:
        """Set the status until an operation changes it."""
        self._sandbox.control(status={"cluster": self.uuid, "ready": ready, **components})

    def update(self, **fields: Any) -> None:
        """Override fields. None removes a field."""
        self._sandbox.control(update_cluster={"cluster": self.uuid, **fields})

    def backup(self, **fields: Any) -> str:
        """Create a complete backup with these fields and return its id."""
        made = self._sandbox.control(backup={"cluster": self.uuid, "fields": fields})
        return str(made["backup_uuid"])


@dataclass(frozen=True)
class Fault:
    """Fault that was added to the server."""

    id: int
    _sandbox: Sandbox = field(repr=False, compare=False)

    @property
    def fired(self) -> int:
        """Number of injections."""
        return int(self._sandbox._call("GET", f"faults/{self.id}")["fired"])

    def remove(self) -> None:
        """Remove the fault."""
        self._sandbox._call("DELETE", f"faults/{self.id}")


@dataclass(frozen=True)
class Request:
    """Request that the server received.

    `status` is None if the request is in progress or a fault prevented the response. `json` is the
    parsed body, or None.
    """

    id: int
    time: str
    operation: str
    method: str
    path: str
    query: str | None
    headers: dict[str, str]
    body: str
    json: Any
    client_id: str | None
    peer: str | None
    status: int | None
    fault: int | None


@dataclass(frozen=True)
class Stats:
    """Request counters since the start or the last reset."""

    token_requests: int
    token_requests_by_audience: dict[str, int]
    rejected_token_requests: int
    rate_limited_token_requests: int
    token_request_times_ms: list[int]
    requests: int
    requests_by_operation: dict[str, int]
    connections: int


def _check_list(name: str, values: object) -> None:
    """Raise `TypeError` for a string, which would be split into its characters."""
    if isinstance(values, str):
        raise TypeError(f"{name}: str given; expected a list of str")


def _known(kind: Any, fields: Mapping[str, Any]) -> Any:
    """Create a dataclass from the fields that it has: a newer server may send more."""
    names = kind.__dataclass_fields__
    return kind(**{name: value for name, value in fields.items() if name in names})


class Sandbox:
    """Running server. Use it as a context manager, or call `close`.

    Args:
        options: options of the program, for example `["--seed", "1", "--tls"]`.
        program: path of the program. Default: see `find_program`.
        start_timeout: seconds after which a start fails. Default: 30.

    Attributes:
        environment: environment variables that configure a client for the server.

    Raises:
        SandboxError: the program is not found or cannot be started.
    """

    def __init__(
        self,
        options: Sequence[str] = (),
        *,
        program: str | None = None,
        start_timeout: float = 30.0,
    ) -> None:
        _check_list("options", options)
        self._directory = tempfile.TemporaryDirectory(prefix="camunda-admin-sandbox-python-")
        env_file = Path(self._directory.name) / "environment.json"
        # The directory is removed also if this process is killed before it can stop the server.
        command = [program or find_program(), *options]
        command += ["--env-file", str(env_file), "--exit-with-parent"]
        self._log = Path(self._directory.name) / "stderr.log"
        try:
            with open(self._log, "wb") as log:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log
                )
        except OSError as error:
            self._directory.cleanup()
            raise SandboxError(f"start {command[0]}: {error}") from error
        try:
            self._wait_for(command[0], env_file, start_timeout)
            self.environment: dict[str, str] = json.loads(env_file.read_text("utf-8"))
        except BaseException:
            self.close()
            raise
        self._initial_environment = dict(self.environment)
        self._tls: ssl.SSLContext | None = None
        if "CAMUNDA_CUSTOM_ROOT_CERT_PATH" in self.environment:
            # The server is a child process, which may serve a defective certificate on purpose.
            self._tls = ssl.create_default_context()
            self._tls.check_hostname = False
            self._tls.verify_mode = ssl.CERT_NONE
            chain = self.environment.get("CAMUNDA_CUSTOM_CERT_CHAIN_PATH")
            if chain is not None:
                self._tls.load_cert_chain(
                    chain, self.environment["CAMUNDA_CUSTOM_PRIVATE_KEY_PATH"]
                )

    def _wait_for(self, program: str, env_file: Path, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not env_file.exists():
            if self._process.poll() is not None:
                message = self._log.read_text("utf-8", "replace").strip()
                ended = f"{program} exited with status {self._process.returncode}"
                raise SandboxError(f"start server: {message or ended}")
            if time.monotonic() > deadline:
                raise SandboxError(f"start server: not ready after {timeout} s")
            time.sleep(0.005)

    def close(self) -> None:
        """Stop the server. A second call has no effect."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._directory.cleanup()

    def __enter__(self) -> Sandbox:  # noqa: PYI034 (Self is not in Python 3.9)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Sandbox({self.base_url!r})"

    @property
    def base_url(self) -> str:
        """Base URL of the API, without a trailing slash."""
        return self.environment["CAMUNDA_CONSOLE_BASE_URL"]

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        # The public URL need not be reachable from this host.
        server = self.environment.get("CAMUNDA_ADMIN_SANDBOX_URL", self.base_url)
        url = f"{server}/_sandbox/{path}"
        request = urllib.request.Request(url, data=data, method=method)
        # Proxies of the environment do not apply to the server.
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if self._tls is not None:
            handlers.append(urllib.request.HTTPSHandler(context=self._tls))
        try:
            with urllib.request.build_opener(*handlers).open(request, timeout=60) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            with error:
                text = error.read()
            try:
                message = json.loads(text)["message"]
            except (ValueError, KeyError, TypeError):
                message = text.decode("utf-8", "replace")
            raise ControlError(error.code, message) from None
        except OSError as error:
            raise SandboxError(f"{method} {url}: {error}") from error
        return json.loads(text) if text else None

    def cluster(self, **fields: Any) -> Cluster:
        """Create a `Healthy` cluster with these fields, known or not.

        With `healthy_at_poll=n` it is `Creating` until its n-th GET.
        """
        return Cluster(str(self.control(cluster=fields)["uuid"]), self)

    def clusters(self, count: int) -> list[Cluster]:
        """Create this number of clusters."""
        return [Cluster(uuid, self) for uuid in self.control(clusters=count)["uuids"]]

    def fault(self, operation: str | None = None, **fields: Any) -> Fault:
        """Add a fault.

        Args:
            operation: for example `GET /clusters/{clusterUuid}` or `token`. Default: all requests
                to the API.
            fields: effects and conditions, for example `status=503, times=2`.

        Raises:
            ControlError: no request can match, or there is no effect.
        """
        if operation is not None:
            fields["operation"] = operation
        return Fault(int(self._call("POST", "faults", fields)["id"]), self)

    def unused_faults(self) -> list[dict[str, Any]]:
        """Return the faults that were never injected."""
        faults: list[dict[str, Any]] = self._call("GET", "faults?unused=true")["faults"]
        return faults

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._call("DELETE", "faults")

    def requests(self, operation: str | None = None, **filters: Any) -> list[Request]:
        """Return the received requests, oldest first.

        Args:
            operation: for example `PATCH /clusters/{clusterUuid}` or `token`. Default: all.
            filters: `method`, `path`, `client_id`, `status`, `after`, `limit`.

        Raises:
            ControlError: the operation or a filter does not exist.
        """
        if operation is not None:
            filters["operation"] = operation
        found = self._call("GET", "requests?" + urllib.parse.urlencode(filters))["requests"]
        return [_known(Request, request) for request in found]

    @property
    def stats(self) -> Stats:
        """Request counters."""
        stats: Stats = _known(Stats, self._call("GET", "stats"))
        return stats

    def control(self, **changes: Any) -> dict[str, Any]:
        """Apply changes and return their results.

        Raises:
            ControlError: a change is invalid. None is applied then.
        """
        made: dict[str, Any] = self._call("POST", "control", changes)
        return made

    def credentials(
        self,
        permissions: Sequence[str] = ALL_PERMISSIONS,
        organization: str | None = None,
    ) -> dict[str, str]:
        """Create credentials and return the environment variables of a client with them."""
        _check_list("permissions", permissions)
        change: dict[str, Any] = {"permissions": list(permissions)}
        if organization is not None:
            change["organization"] = organization
        made = self.control(credentials=change)
        environment = dict(self._initial_environment)
        for prefix in ("CAMUNDA_CONSOLE", "ZEEBE"):
            environment[f"{prefix}_CLIENT_ID"] = made["client_id"]
            environment[f"{prefix}_CLIENT_SECRET"] = made["client_secret"]
        return environment

    def settings(self, **settings: Any) -> None:
        """Change settings, for example `healthy_after_ms=0` or `token_rate_limit=False`."""
        self.control(settings=settings)

    def advance(self, seconds: float) -> None:
        """Advance the clock of the server."""
        self._call("POST", "clock", {"advance_ms": round(seconds * 1000)})

    def set_clock(self, **clock: Any) -> None:
        """Change the clock: `now` (ISO 8601), `advance_ms`, `frozen`."""
        self._call("POST", "clock", clock)

    def state(self) -> dict[str, Any]:
        """Return the state, except tokens, faults, counters and logged requests."""
        state: dict[str, Any] = self._call("GET", "state")
        return state

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Replace the parts of the state that `state` has."""
        self._call("PUT", "state", state)

    def reset(self, *, keep_credentials: bool = False) -> None:
        """Restore the initial state.

        Args:
            keep_credentials: keep all credentials and their tokens valid. Default: False.
        """
        self._call("POST", "reset", {"keep_credentials": keep_credentials})
        if not keep_credentials:
            self.environment = dict(self._initial_environment)
