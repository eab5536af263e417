"""A program that type checkers read: mypy and pyright accept it, and report each line with `ignore`.

An `ignore` on a line without an error is an error itself. `tests/python.rs` runs both.
"""

import copy
import dataclasses
import uuid
from datetime import datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

from camunda_admin import *
from camunda_admin.aio import to_thread


def settings() -> None:
    AdminClient.from_env(timeout=timedelta(seconds=3), token_cache=Path("/tmp"), ca_file="ca.pem")
    AdminClient.from_env_file(Path("console.env"), base_url="http://localhost")
    AdminClient.from_env(colour="red")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    AdminClient.from_env(timeout="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    AdminClient(token_request_format="xml")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    common: Settings = {"timeout": 5, "proxy": "http://proxy.example.com"}
    AdminClient.from_env(**common)
    TokenSource({}, client_id="a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


class Regional(AdminClient):
    region = "eu"


class Labelled(TokenSource):
    label = "a"


def subclasses(source: Labelled) -> List[str]:
    with Regional.from_env() as admin, Regional.from_env_file("console.env") as other:
        names = [admin.region, other.region, admin.with_options(timeout=1).region, copy.copy(admin).region]
    with source.with_options(timeout=1) as same:
        return [*names, same.label, copy.copy(source).label]


def operations(admin: AdminClient) -> None:
    cluster = admin.cluster(uuid.uuid4())
    cluster.clients.create("a", permissions=["Zeebe", ClientPermission.OPERATE], timeout=5)
    cluster.clients.create("a", permissions=(each for each in ClientPermission))
    cluster.clients.create("a", permissions=[ClientPermission("Future")])
    cluster.clients.create("a", permissions="Zeebe")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cluster.clients.create("a", permissions=["Zebe"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    admin.members.set_roles("a@example.com", ["admin"])
    admin.members.set_roles("a@example.com", ["boss"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    cluster.set_ip_allowlist([(ip_network("10.0.0.0/8"), "office"), IpAllowlistEntry("::1", "lab")])
    cluster.wait_until_healthy(progress=lambda polled: print(polled.name), cancel=Cancel())
    admin.request("GET", "/clusters", idempotency="safe")
    admin.request("BREW", "/clusters")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    admin.request("GET", "/clusters", idempotency="often")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    admin.timeout = 5  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    with admin.with_options(timeout=None) as other:
        same: AdminClient = copy.copy(other)
    same.close()
    token = admin.token()
    expiry: datetime = token.expires_at
    header: str = token
    print(expiry, header)
    lines: Iterator[str] = admin.activity.csv()
    print(list(lines))


def objects(cluster: Cluster, event: AuditEvent) -> Optional[str]:
    labels: Optional[Tuple[str, ...]] = cluster.labels
    created: Optional[datetime] = cluster.created
    when: Optional[datetime] = event.timestamp
    ready: ClusterComponentStatus = cluster.status.ready
    print(labels, created, when, ready.upper())
    cluster.name = "b"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    cluster.nmae  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    renamed: Cluster = dataclasses.replace(cluster, name="b")
    fields: List[str] = [each.name for each in dataclasses.fields(renamed)]
    counts: Dict[Cluster, int] = {cluster: len(fields)}
    known: List[ClientPermission] = list(ClientPermission)
    print(counts, known, "Zeebe" in ClientPermission, len(ClientPermission))
    return cluster.replace(name="c").description


def errors(error: CamundaError) -> Optional[int]:
    outcome: Outcome = error.outcome
    stage: Stage = error.stage
    print(outcome, stage)
    if error.outcome == "maybe":  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
        return None
    return error.http_status


async def coroutine(admin: AdminClient) -> List[Cluster]:
    return await to_thread(admin.clusters.list, timeout=5)
