"""The main job: look up what can be created, create a cluster, wait until it is healthy, create a
client for it, keep the client's credentials, list, clean up.

Works against the service that the environment names: `CAMUNDA_CONSOLE_CLIENT_ID`,
`CAMUNDA_CONSOLE_CLIENT_SECRET` and, for the sandbox, the addresses that it prints. Against the real
service it only reads, unless `--create` is given: a cluster costs money.

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
    arguments = argparse.ArgumentParser(description="Does the main job of the Administration API.")
    arguments.add_argument("--create", action="store_true", help="create a cluster on the real service")
    create = arguments.parse_args().create
    host = urlsplit(os.environ.get("CAMUNDA_CONSOLE_BASE_URL", "")).hostname
    on_this_machine = host in ("127.0.0.1", "::1", "localhost")
    try:
        with AdminClient.from_env() as admin:
            look(admin)
            if create or on_this_machine:
                create_and_clean_up(admin)
            else:
                print("read-only: --create makes a cluster, which costs money")
            stats = admin.stats()
            print(f"{stats.requests} requests, {stats.token_requests} token requests")
    except CamundaError as error:
        print(f"quickstart: {error}", file=sys.stderr)
        return 1
    return 0


def look(admin: AdminClient) -> None:
    clusters = admin.clusters.list()
    print(f"{len(clusters)} clusters")
    for cluster in clusters:
        print(f"  {cluster.name}: {cluster.status.ready}")


def create_and_clean_up(admin: AdminClient) -> None:
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
            # The secret is shown only once, so the file is created before the client.
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
