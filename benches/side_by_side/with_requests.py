"""Baseline with requests: one session with a persistent connection, and one token per process.
Arguments: work (get or list) and number of repetitions."""

import os
import sys

import requests

work, times = sys.argv[1], int(sys.argv[2])
base_url = os.environ["CAMUNDA_CONSOLE_BASE_URL"]
clusters = size = 0


def look_at(cluster):
    global clusters, size
    clusters += 1
    size += (
        len(cluster["uuid"])
        + len(cluster["name"])
        + len(cluster["generation"]["name"])
        + len(cluster["region"]["name"])
        + len(cluster["status"]["ready"])
    )


def read(path):
    response = session.get(base_url + path, timeout=60)
    response.raise_for_status()
    return response.json()


with requests.Session() as session:
    session.verify = os.environ["CAMUNDA_CUSTOM_ROOT_CERT_PATH"]
    response = session.post(
        os.environ["CAMUNDA_OAUTH_URL"],
        json={
            "grant_type": "client_credentials",
            "client_id": os.environ["CAMUNDA_CONSOLE_CLIENT_ID"],
            "client_secret": os.environ["CAMUNDA_CONSOLE_CLIENT_SECRET"],
            "audience": "api.cloud.camunda.io",
        },
        timeout=60,
    )
    response.raise_for_status()
    session.headers["Authorization"] = "Bearer " + response.json()["access_token"]
    for _ in range(times):
        if work == "get":
            look_at(read("/clusters/" + os.environ["BENCH_CLUSTER"]))
        else:
            for cluster in read("/clusters"):
                look_at(cluster)
print(clusters, size)
