"""This library from Python. Arguments: work (get or list) and number of repetitions."""

import os
import sys

from camunda_admin import AdminClient

work, times = sys.argv[1], int(sys.argv[2])
clusters = size = 0


def look_at(cluster):
    global clusters, size
    clusters += 1
    size += (
        len(cluster.uuid)
        + len(cluster.name)
        + len(cluster.generation.name)
        + len(cluster.region.name)
        + len(cluster.status.ready)
    )


with AdminClient.from_env() as admin:
    for _ in range(times):
        if work == "get":
            look_at(admin.cluster(os.environ["BENCH_CLUSTER"]).get())
        else:
            for cluster in admin.clusters.list():
                look_at(cluster)
print(clusters, size)
