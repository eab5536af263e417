"""Create a cluster and the credentials of a client, unless they exist: for cron and other schedulers.

A run that was killed at any step, or that failed, is completed by the next one: it looks for what exists by
name instead of keeping a state of its own. Runs must not overlap, and a request that was sent immediately
before a kill may be executed after the next run has read the lists, so leave a minute between two runs:

    */10 * * * * flock -n ~/.provision.lock python provision.py orders worker ~/worker.env
"""

import argparse
import sys
from pathlib import Path
from typing import Optional

from camunda_admin import AdminClient, CamundaError, ClusterCredentials, ClusterHandle, ConfigError


def main() -> int:
    arguments = argparse.ArgumentParser(description="Creates a cluster and a client, unless they exist.")
    arguments.add_argument("cluster", help="name of the cluster")
    arguments.add_argument("client", help="name of the client")
    arguments.add_argument("file", type=Path, help="file for the credentials of the client")
    options = arguments.parse_args()
    try:
        with AdminClient.from_env() as admin:
            cluster = ensure_cluster(admin, options.cluster)
            cluster.wait_until_healthy(timeout=20 * 60)
            ensure_credentials(cluster, options.client, options.file)
    except CamundaError as error:
        # Also after an unknown outcome: the next run finds what was created.
        print(f"provision: {error}", file=sys.stderr)
        return 1
    return 0


def ensure_cluster(admin: AdminClient, name: str) -> ClusterHandle:
    """Return the cluster with this name, and create it if there is none."""
    found = [each for each in admin.clusters.list() if each.name == name]
    if len(found) > 1:
        # Names of clusters are not unique.
        sys.exit(f"provision: {len(found)} clusters have the name {name}")
    if found:
        return admin.cluster(found[0].uuid)
    offer = admin.clusters.parameters()
    channel = offer.channels[0]
    cluster_id = admin.clusters.create(
        name=name,
        channel_id=channel.uuid,
        generation_id=channel.default_generation.uuid,
        region_id=offer.regions[0].uuid,
        plan_type_id=offer.cluster_plan_types[0].uuid,
    )
    print(f"created the cluster {cluster_id}")
    return admin.cluster(cluster_id)


def ensure_credentials(cluster: ClusterHandle, name: str, file: Path) -> None:
    """Create the client and the file with its credentials, unless both exist."""
    existing = [each for each in cluster.clients.list() if each.name == name]
    if file.exists():
        client_id = read_client_id(file)
        if any(each.client_id == client_id for each in existing):
            return
        if client_id is not None:
            sys.exit(f"provision: {file} has the credentials of another client; move it away")
        # A run was killed before it received the secret: the file has only reserved space.
        file.unlink()
    for each in existing:
        # Its secret was returned once and is not stored here.
        cluster.clients.delete(each.client_id)
        print(f"deleted the client {each.client_id}, whose secret was lost")
    created = cluster.clients.create_env_file(file, name, permissions=["Zeebe"])
    print(f"created the client {created.client_id}")


def read_client_id(file: Path) -> Optional[str]:
    """Return the client id in a credential file, or None if the file is incomplete."""
    try:
        credentials = ClusterCredentials.from_env_file(file)
    except ConfigError:
        return None
    return credentials.get("ZEEBE_CLIENT_ID")


if __name__ == "__main__":
    sys.exit(main())
