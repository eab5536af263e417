"""Tests in environments of other packages: gevent, a Jupyter notebook, jedi, tqdm, rich and pydantic."""

import unittest

from camunda_admin import ClientPermission, Cluster, CreatedClusterClient, Secrets
from support import SandboxTest

CONTROL = """
import json, os, urllib.request

def control(**changes):
    request = urllib.request.Request(
        os.environ["CAMUNDA_CONSOLE_BASE_URL"] + "/_sandbox/control", json.dumps(changes).encode(), method="POST"
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)
"""


class Gevent(SandboxTest):
    # `ticks` counts the steps of a greenlet, which stand still while the thread is blocked.
    PROGRAM = """
import gevent.monkey
gevent.monkey.patch_all()
import gevent, sys, time
from camunda_admin import AdminClient, Cancel, CancelledError

ticks = 0
def tick():
    global ticks
    while True:
        ticks += 1
        gevent.sleep(0.001)

admin = AdminClient.from_env()
gevent.spawn(tick)
gevent.sleep(0.05)
wait = admin.cluster(sys.argv[1]).wait_until_healthy
pool = gevent.get_hub().threadpool
"""

    def setUp(self):
        super().setUp()
        self.require("gevent")
        self.client().token()
        self.creating = self.cluster(status={"ready": "Creating"})

    def run_program(self, body):
        ran = self.run_python(self.PROGRAM + body, self.creating)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        return ran.stdout.split()

    def test_call_in_the_thread_pool_lets_other_greenlets_run(self):
        output = self.run_program("""
before = ticks
cancel = Cancel()
job = pool.spawn(wait, cancel=cancel)
while ticks < before + 100:
    gevent.sleep(0.01)
print(job.ready())
cancel.cancel()
try:
    job.get(timeout=20)
except CancelledError as error:
    print(type(error).__name__)
print(len(pool.apply(admin.clusters.list)) > 0)
""")
        self.assertEqual(output, ["False", "CancelledError", "True"])

    def test_call_on_the_thread_of_the_hub_blocks_all_greenlets(self):
        output = self.run_program("""
before = ticks
try:
    wait(timeout=1)
except TimeoutError:
    print(ticks - before)
print(len(gevent.spawn(admin.clusters.list).get(timeout=20)) > 0)
""")
        self.assertEqual(output, ["0", "True"])

    def test_ctrl_c_ends_a_call_on_the_main_greenlet(self):
        output = self.run_program("""
import os, signal, threading
gevent.get_hub().threadpool.spawn(lambda: (gevent.monkey.get_original("time", "sleep")(0.5),
                                           os.kill(os.getpid(), signal.SIGINT)))
gevent.sleep(0.1)
try:
    wait(timeout=60)
except KeyboardInterrupt:
    print("interrupted")
""")
        self.assertEqual(output, ["interrupted"])


class Notebook(SandboxTest):
    def test_progress_is_one_output_of_the_cell(self):
        self.require("nbclient")
        self.require("ipykernel")
        program = f"""
import nbclient, nbformat

first, second = {CONTROL!r}, '''
import threading
from camunda_admin import AdminClient

admin = AdminClient.from_env()
uuid = control(cluster={{"name": "orders", "status": {{"ready": "Creating"}}}})["uuid"]
threading.Timer(0.5, control, kwargs={{"status": {{"cluster": uuid, "ready": "Healthy"}}}}).start()
cluster = admin.cluster(uuid).wait_until_healthy(progress=True, timeout=60, max_poll_interval=0.1)
'''
book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in (first, second)])
nbclient.NotebookClient(book, timeout=90).execute()
print(*[output.data["text/plain"] for output in book.cells[1].outputs], sep="|")
"""
        self.client().token()
        ran = self.run_python(program, limit=120)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertRegex(ran.stdout, r"^orders: Healthy \(\d+ s\)\n$")


class Completion(SandboxTest):
    """What IPython and other users of jedi offer after a dot."""

    def test_attributes_of_responses_are_completed(self):
        self.require("jedi")
        import jedi

        program = "from camunda_admin import *\nadmin = AdminClient.from_env()\n"
        for expression, expected in [
            ("admin.clusters.list()[0].", "status"),
            ("admin.cluster('a').get().status.", "ready"),
            ("admin.stats().", "token_requests"),
            ("admin.token().expires_at.", "isoformat"),
            ("ClientPermission.", "ZEEBE"),
        ]:
            names = {each.name for each in jedi.Script(program + expression).complete()}
            self.assertIn(expected, names, expression)


class Pydantic(SandboxTest):
    CLUSTER = {"uuid": "a", "name": "b", "status": {"ready": "Healthy"}, "created": "2024-01-01T00:00:00Z", "new": [1]}

    def setUp(self):
        super().setUp()
        self.require("pydantic")

    def model(self, **types):
        import pydantic

        return pydantic.create_model("Example", **{name: (kind, ...) for name, kind in types.items()})

    def test_objects_are_written_and_read_with_all_fields(self):
        model = self.model(cluster=Cluster)
        example = model(cluster=Cluster.from_dict(self.CLUSTER))
        self.assertIsInstance(example.cluster, Cluster)
        self.assertEqual(example.model_dump(), {"cluster": self.CLUSTER})
        self.assertEqual(model.model_validate_json(example.model_dump_json()), example)
        self.assertEqual(model(cluster=self.CLUSTER), example)
        self.assertEqual(model.model_json_schema()["properties"]["cluster"]["type"], "object")

    def test_secrets_are_hidden_in_repr_but_written(self):
        model = self.model(client=CreatedClusterClient)
        example = model(client=CreatedClusterClient(name="worker", client_id="a", client_secret="hunter2"))
        self.assertNotIn("hunter2", repr(example) + str(example))
        self.assertEqual(example.model_dump()["client"]["clientSecret"], "hunter2")

    def test_enumeration_accepts_unknown_values(self):
        model = self.model(permissions=list[ClientPermission])
        example = model(permissions=["Zeebe", "Future"])
        self.assertIs(example.permissions[0], ClientPermission.ZEEBE)
        self.assertEqual(example.model_dump_json(), '{"permissions":["Zeebe","Future"]}')

    def test_invalid_values_are_validation_errors(self):
        import pydantic

        cases = [
            ({"name": "b"}, "Cluster: the required field 'uuid' is missing"),
            ({**self.CLUSTER, "status": "Healthy"}, "Cluster.status: str given; expected a ClusterStatus or a dict"),
            ("a", "Cluster: str given; expected a dict"),
        ]
        for value, message in cases:
            with self.assertRaisesRegex(pydantic.ValidationError, message):
                self.model(cluster=Cluster)(cluster=value)
        with self.assertRaisesRegex(pydantic.ValidationError, "valid string"):
            self.model(permission=ClientPermission)(permission=1)

    def test_classes_of_secrets_are_not_accepted(self):
        import pydantic

        with self.assertRaises(pydantic.errors.PydanticSchemaGenerationError):
            self.model(secrets=Secrets)


if __name__ == "__main__":
    unittest.main()
