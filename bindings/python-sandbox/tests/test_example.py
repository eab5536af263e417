import app


def test_rename(sandbox):
    cluster = sandbox.cluster(name="old", healthy_at_poll=3)
    fault = sandbox.fault("GET /clusters/{clusterUuid}", status=503)
    app.rename(sandbox.environment, cluster.uuid, "new")
    assert sandbox.requests("PATCH /clusters/{clusterUuid}")[0].json == {"name": "new"}
    assert sandbox.stats.token_requests == 1 and fault.fired == 1
