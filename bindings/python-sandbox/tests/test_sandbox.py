import os
import pickle
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import app
import pytest

from camunda_admin_sandbox import ControlError, Sandbox, SandboxError, find_program

pytest_plugins = ["pytester"]


def status(environment, token, path="/clusters"):
    url = environment["CAMUNDA_CONSOLE_BASE_URL"] + path
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def test_faults_and_filters_are_checked(sandbox):
    with pytest.raises(ControlError, match="unknown operation") as error:
        sandbox.fault("GET /clusterz", status=503)
    assert error.value.status == 400
    with pytest.raises(ControlError, match="unknown operation"):
        sandbox.requests("GET /clusterz")
    with pytest.raises(ControlError, match="no effect"):
        sandbox.fault("GET /clusters")
    assert sandbox.unused_faults() == []


def test_unused_faults_are_listed_until_removed(sandbox):
    fault = sandbox.fault("GET /members", status=503)
    assert [unused["id"] for unused in sandbox.unused_faults()] == [fault.id]
    assert fault.fired == 0
    fault.remove()
    assert sandbox.unused_faults() == []


def test_clusters_are_controlled(sandbox):
    cluster = sandbox.cluster(name="a", labels=None)
    cluster.set_status("Unhealthy")
    cluster.update(description="d")
    backup = cluster.backup(name="b")
    assert len(sandbox.clusters(2)) == 2
    state = sandbox.state()["clusters"][0]
    assert state["status"]["ready"] == "Unhealthy"
    assert state["document"]["description"] == "d"
    assert state["backups"][0]["uuid"] == backup


def test_state_clock_and_settings_are_set(sandbox):
    sandbox.set_state({"clusters": [{"name": "seeded"}]})
    sandbox.set_clock(now="2026-03-01T12:00:00Z", frozen=True)
    sandbox.advance(1.5)
    sandbox.settings(healthy_after_ms=0)
    state = sandbox.state()
    assert [cluster["document"]["name"] for cluster in state["clusters"]] == ["seeded"]
    assert state["clock"]["frozen"]
    assert state["settings"]["healthy_after_ms"] == 0
    request = sandbox.requests(limit=1)
    assert request == []


outliving = []


def test_first_test_leaves_client_and_cluster(sandbox):
    sandbox.cluster(name="left over")
    outliving.append((sandbox.environment, app.token(sandbox.environment)))


def test_second_test_starts_from_initial_state(sandbox):
    assert sandbox.state()["clusters"] == []
    assert sandbox.requests() == []
    if outliving:
        environment, token = outliving[0]
        assert (
            environment["CAMUNDA_CONSOLE_CLIENT_ID"]
            != (sandbox.environment["CAMUNDA_CONSOLE_CLIENT_ID"])
        )
        assert status(environment, token) == 200


def test_credentials_have_permissions(sandbox):
    environment = sandbox.credentials(["members"])
    token = app.token(environment)
    assert status(environment, token) == 403
    assert status(environment, token, "/members") == 200
    assert (
        sandbox.requests("GET /members")[0].client_id == (environment["CAMUNDA_CONSOLE_CLIENT_ID"])
    )


def test_server_stops_with_context():
    with Sandbox(options=["--seed", "1"]) as first:
        url = first.base_url
        environment = first.environment
    with Sandbox(options=["--seed", "1"]) as second:
        assert (
            second.environment["CAMUNDA_CONSOLE_CLIENT_ID"]
            == (environment["CAMUNDA_CONSOLE_CLIENT_ID"])
        )
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url + "/_sandbox/health", timeout=10)
    with pytest.raises(SandboxError):
        first.reset()


def test_server_uses_tls_with_client_certificates():
    with Sandbox(options=["--client-certificates"]) as sandbox:
        assert sandbox.base_url.startswith("https://")
        assert sandbox.stats.requests == 0


@pytest.mark.parametrize("fault", ["expired", "wrong_name", "unknown_ca"])
def test_server_with_a_defective_certificate_is_controlled(fault):
    with Sandbox(options=["--certificate-fault", fault]) as sandbox:
        sandbox.reset(keep_credentials=True)
        with pytest.raises(urllib.error.URLError, match="certificate"):
            urllib.request.urlopen(sandbox.base_url, timeout=10)
        sandbox.settings(certificate_fault=None)
        assert sandbox.stats.requests == 0


def test_server_with_a_public_url_is_controlled():
    options = ["--tls", "--public-url", "https://sandbox.example:8443"]
    with Sandbox(options=options) as sandbox:
        assert sandbox.base_url == "https://sandbox.example:8443"
        sandbox.cluster(name="reachable")
        assert len(sandbox.state()["clusters"]) == 1
        sandbox.reset(keep_credentials=True)
        sandbox.credentials()
        assert sandbox.state()["clusters"] == []


def test_start_errors_have_message(tmp_path):
    with pytest.raises(SandboxError, match="unknown option --no-such-option"):
        Sandbox(options=["--no-such-option"])
    with pytest.raises(SandboxError, match="start "):
        Sandbox(program=str(tmp_path / "nothing"))
    # A program that ends without a message.
    with pytest.raises(SandboxError, match=f"{re.escape(sys.executable)} exited with status 1$"):
        Sandbox(["-c", "raise SystemExit(1)"], program=sys.executable)
    with pytest.raises(TypeError, match="options: str given"):
        Sandbox(options="--tls")


def test_string_is_no_list_of_permissions(sandbox):
    with pytest.raises(TypeError, match="permissions: str given"):
        sandbox.credentials("cluster:get")


def test_error_of_a_worker_process_can_be_pickled():
    error = pickle.loads(pickle.dumps(ControlError(400, "no effect")))
    assert (error.status, error.message) == (400, "no effect")
    assert str(error) == "control request rejected with HTTP 400: no effect"


def test_program_is_found_in_variable_or_path(monkeypatch, tmp_path):
    program = find_program()
    monkeypatch.setenv("CAMUNDA_ADMIN_SANDBOX", str(tmp_path / "nothing"))
    with pytest.raises(SandboxError, match="does not exist"):
        find_program()
    monkeypatch.delenv("CAMUNDA_ADMIN_SANDBOX")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="set CAMUNDA_ADMIN_SANDBOX"):
        find_program()
    (tmp_path / "camunda-admin-sandbox").symlink_to(program)
    assert find_program() == str(tmp_path / "camunda-admin-sandbox")


def test_server_stops_when_python_is_killed(tmp_path):
    script = (
        "import os, signal, sys\n"
        "from camunda_admin_sandbox import Sandbox\n"
        "sandbox = Sandbox()\n"
        "print(sandbox.base_url, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    child = subprocess.run(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        env=environment,
        timeout=60,
        check=False,
    )
    url = child.stdout.decode().strip() + "/_sandbox/health"

    def is_served():
        try:
            with urllib.request.urlopen(url, timeout=10):
                return True
        except OSError:
            return False

    for _ in range(10_000):
        if not is_served():
            return
    pytest.fail("the server is still running")


def test_fixture_warns_of_unused_fault(pytester):
    pytester.makepyfile(
        """
        def test_nothing(sandbox):
            sandbox.fault("GET /clusters", status=503)
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", timeout=60)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*fault was never injected*"])


def test_fixture_uses_options_of_conftest(pytester):
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture(scope="session")
        def sandbox_options():
            return ["--tls"]
        """
    )
    pytester.makepyfile(
        """
        def test_tls(sandbox):
            assert sandbox.base_url.startswith("https://")
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider", timeout=60).assert_outcomes(passed=1)


def test_readme_has_tested_example():
    tested = (Path(__file__).parent / "test_example.py").read_text("utf-8")
    example = tested.split("import app\n\n\n")[1]
    package = Path(__file__).parent.parent
    repository = package.parent.parent
    for readme in (
        package / "README.md",
        repository / "tests/sandbox/README.md",
        repository / "docs/sandbox.md",
    ):
        assert f"```python\n{example}```" in readme.read_text("utf-8")
