"""Benchmark of many processes: requests, with a token per process. Lists the clusters once."""

import os

import requests

TIMEOUT = float(os.environ["FLEET_TIMEOUT"])

response = requests.post(
    os.environ["CAMUNDA_OAUTH_URL"],
    json={
        "grant_type": "client_credentials",
        "client_id": os.environ["CAMUNDA_CONSOLE_CLIENT_ID"],
        "client_secret": os.environ["CAMUNDA_CONSOLE_CLIENT_SECRET"],
        "audience": "api.cloud.camunda.io",
    },
    timeout=TIMEOUT,
)
response.raise_for_status()
response = requests.get(
    os.environ["CAMUNDA_CONSOLE_BASE_URL"] + "/clusters",
    headers={"Authorization": "Bearer " + response.json()["access_token"]},
    timeout=TIMEOUT,
)
response.raise_for_status()
print(len(response.json()))
