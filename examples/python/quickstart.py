"""End-to-end example: create a cluster, wait until it is healthy, create a client, delete both.

Reads the credentials from the environment variables `CAMUNDA_CONSOLE_CLIENT_ID` and
`CAMUNDA_CONSOLE_CLIENT_SECRET`; for the sandbox, set the variables that it prints. On the real API it
only lists the clusters, unless `--create` is given, because a cluster costs money.

    python examples/python/quickstart.py [--create]
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from camunda_admin import AdminClient, CamundaError, ClusterCredentials, TokenSource


def main() -> int:
    arguments = argparse.ArgumentParser(description="End-to-end example of the Administration API.")
    arguments.add_argument("--create", action="store_true", help="create a cluster on the real API")
    create = arguments.parse_args().create
    host = urlsplit(os.environ.get("CAMUNDA_CONSOLE_BASE_URL", "")).hostname
    is_local = host in ("127.0.0.1", "::1", "localhost")
    try:
        with AdminClient.from_env() as admin:
            list_clusters(admin)
            if create or is_local:
                create_and_delete_cluster(admin)
            else:
                print("read-only: pass --create to create a cluster, which costs money")
            stats = admin.stats()
            print(f"{stats.requests} requests, {stats.token_requests} token requests")
    except CamundaError as error:
        print(f"quickstart: {error}", file=sys.stderr)
        if error.outcome == "completed" and error.body is not None:
            # The operation was executed, and only this response has what the API returns once.
            print("response body:", save(error.body), file=sys.stderr)
        return 1
    return 0


def save(body: bytes) -> str:
    """Write a response body, which may contain a secret, to a new file with mode 0600."""
    descriptor, path = tempfile.mkstemp(prefix="camunda-response-")
    with open(descriptor, "wb") as file:
        file.write(body)
    return path


def list_clusters(admin: AdminClient) -> None:
    clusters = admin.clusters.list()
    print(f"{len(clusters)} clusters")
    for cluster in clusters:
        print(f"  {cluster.name}: {cluster.status.ready}")


def create_and_delete_cluster(admin: AdminClient) -> None:
    offer = admin.clusters.parameters()
    channel = offer.channels[0]
    region = offer.regions[0]
    plan_type = offer.cluster_plan_types[0]
    print(f"creating: {channel.name}, {channel.default_generation.name}, {region.name}, {plan_type.name}")
    cluster_id = admin.clusters.create(
        name="quickstart",
        channel_id=channel.uuid,
        generation_id=channel.default_generation.uuid,
        region_id=region.uuid,
        plan_type_id=plan_type.uuid,
    )
    handle = admin.cluster(cluster_id)
    try:
        handle.wait_until_healthy(timeout=20 * 60, progress=True)
        with tempfile.TemporaryDirectory() as folder:
            # The API returns the secret only once, so the file is created before the client.
            path = Path(folder) / "worker.env"
            created = handle.clients.create_env_file(path, "worker", permissions=["Zeebe"])
            credentials = ClusterCredentials.from_env_file(path)
            print(f"wrote the credentials of {created.name}: {', '.join(credentials)}")
            token = TokenSource(credentials).access_token()
            print(f"a token for Zeebe: {len(token)} characters")
        for client in handle.clients.list():
            print(f"client {client.name}: {', '.join(client.permissions)}")
        handle.clients.delete(created.client_id)
    finally:
        handle.delete()
        handle.wait_until_deleted(timeout=5 * 60)
        print("deleted")


if __name__ == "__main__":
    sys.exit(main())
