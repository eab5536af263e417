"""Writes the responses that nginx serves to a directory: a token, a cluster of about 1.5 kB, and lists
of 100 and 10,000 clusters. A separate program, so that the measuring process stays small: the peak
memory of a child is at least that of its parent at the time of the fork."""

import base64
import json
import sys
import time
import uuid
from pathlib import Path

CLUSTER = "3f0e9a52-7f0c-4a6e-9d0b-7b8f2f6c1d11"


def main(directory: Path) -> None:
    for name, count in [("hundred", 100), ("many", 10_000)]:
        write(directory / name / "clusters", [cluster(number) for number in range(count)])
    write(directory / "one" / "clusters" / CLUSTER, cluster(0))
    write(directory / "oauth" / "token", token())


def write(path: Path, response: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(response, separators=(",", ":")))


def cluster(number: int) -> dict[str, object]:
    def identifier(what: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, what))

    own = CLUSTER if number == 0 else identifier(f"cluster {number}")
    region = ["bru-2", "cdg-1", "lhr-1", "iad-1"][number % 4]
    healthy = "Healthy" if number % 10 else "Updating"
    endpoint = f"https://{region}.operate.camunda.io"
    return {
        "uuid": own,
        "name": f"orders-{number:05}",
        "description": f"Orders of the {number}th shop, in production",
        "ownerId": identifier("organization"),
        "created": f"2025-{number % 12 + 1:02}-{number % 28 + 1:02}T08:15:30.{number % 1000:03}Z",
        "autoUpdate": number % 2 == 0,
        "channel": {"uuid": identifier("stable"), "name": "Stable"},
        "generation": {"uuid": identifier("8.8"), "name": f"Camunda 8.8+gen{number % 9}"},
        "region": {"uuid": identifier(region), "name": f"{region} (GCP)"},
        "planType": {"uuid": identifier("plan"), "name": "Enterprise Production 2x"},
        "labels": ["prod", f"team-{number % 17}"],
        "links": {
            "console": f"https://console.camunda.io/org/{identifier('organization')}/cluster/{own}",
            "connectors": f"{endpoint.replace('operate', 'connectors')}/{own}",
            "identity": f"{endpoint.replace('operate', 'identity')}/{own}",
            "oauth": "https://login.cloud.camunda.io/oauth/token",
            "operate": f"{endpoint}/{own}",
            "optimize": f"{endpoint.replace('operate', 'optimize')}/{own}",
            "tasklist": f"{endpoint.replace('operate', 'tasklist')}/{own}",
            "zeebe": f"grpcs://{own}.{region}.zeebe.camunda.io:443",
        },
        "status": {
            "ready": healthy,
            "zeebeStatus": healthy,
            "operateStatus": "Healthy",
            "tasklistStatus": "Healthy",
            "optimizeStatus": "Healthy",
            "connectorsStatus": "Healthy",
        },
        "encryption": {"type": "Software", "status": "Ready"},
        "ipallowlist": [{"ip": f"10.{number % 256}.0.0/16", "description": "office"}],
    }


def token() -> dict[str, object]:
    """Returns a token with the size and claims of a real one; its signature is not verified."""

    def part(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    now = int(time.time())
    claims = {
        "iss": "https://weblogin.cloud.camunda.io/",
        "sub": "mwo90t5r31607z36bench@clients",
        "aud": "api.cloud.camunda.io",
        "iat": now,
        "exp": now + 86_400,
        "scope": "8a4d2c1e-cluster:get 8a4d2c1e-cluster:create 8a4d2c1e-cluster:delete",
        "gty": "client-credentials",
    }
    header = {"alg": "RS256", "typ": "JWT", "kid": "bench"}
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), bytes(256)]
    return {
        "access_token": ".".join(map(part, parts)),
        "scope": claims["scope"],
        "expires_in": 86_400,
        "token_type": "Bearer",
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
