"""Program under test: renames a cluster once it is healthy."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any


def _send(
    url: str, method: str, headers: Mapping[str, str], body: Mapping[str, Any] | None = None
) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json", **headers} if data else headers
    request = urllib.request.Request(url, data=data, headers=dict(headers), method=method)
    with urllib.request.urlopen(request, timeout=10) as response:
        text = response.read()
    return json.loads(text) if text else None


def token(environment: Mapping[str, str]) -> str:
    body = {
        "grant_type": "client_credentials",
        "audience": environment["CAMUNDA_CONSOLE_OAUTH_AUDIENCE"],
        "client_id": environment["CAMUNDA_CONSOLE_CLIENT_ID"],
        "client_secret": environment["CAMUNDA_CONSOLE_CLIENT_SECRET"],
    }
    return str(_send(environment["CAMUNDA_OAUTH_URL"], "POST", {}, body)["access_token"])


def rename(environment: Mapping[str, str], uuid: str, name: str) -> None:
    headers = {"authorization": f"Bearer {token(environment)}"}
    url = f"{environment['CAMUNDA_CONSOLE_BASE_URL']}/clusters/{uuid}"
    for _ in range(50):
        try:
            if _send(url, "GET", headers)["status"]["ready"] == "Healthy":
                break
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
        time.sleep(0.01)
    _send(url, "PATCH", headers, {"name": name})
