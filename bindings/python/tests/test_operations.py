"""Tests of the operations: the end-to-end example, and each resource."""

import copy
import csv
import dataclasses
import io
import os
import pickle
import stat
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path

from camunda_admin import (
    AdminClient,
    Backup,
    Cancel,
    CancelledError,
    ClientPermission,
    Cluster,
    ClusterComponentStatus,
    ClusterCredentials,
    FileError,
    InvalidArgumentError,
    InvalidRequestError,
    IpAllowlistEntry,
    Secrets,
    Token,
    TokenSource,
    WaitFailedError,
)
from support import ALL_PERMISSIONS, SandboxTest, control, stats


class EndToEnd(SandboxTest):
    def test_cluster_and_client_are_created_used_and_deleted(self):
        before = stats()["token_requests"]
        admin = self.client(ALL_PERMISSIONS)
        offer = admin.clusters.parameters()
        channel = offer.channels[0]
        cluster_id = admin.clusters.create(
            name="orders",
            channel_id=channel.uuid,
            generation_id=channel.default_generation.uuid,
            region_id=offer.regions[0].uuid,
            plan_type_id=offer.cluster_plan_types[0].uuid,
            description="created by a test",
        )
        self.assertIs(type(cluster_id), str)
        handle = admin.cluster(cluster_id)
        polled = []
        cluster = handle.wait_until_healthy(timeout=30, max_poll_interval=0.05, progress=polled.append)
        self.assertIsInstance(cluster, Cluster)
        self.assertEqual(cluster.uuid, cluster_id)
        self.assertEqual(cluster.status.ready, "Healthy")
        self.assertEqual(cluster.plan_type.name, offer.cluster_plan_types[0].name)
        self.assertEqual(f"{cluster.status.ready}", "Healthy")
        self.assertEqual(polled[-1], cluster)
        self.assertIn(cluster_id, [each.uuid for each in admin.clusters.list()])

        created = handle.clients.create("worker", permissions=["Zeebe", ClientPermission.OPERATE])
        path = self.folder / "worker.env"
        created.credentials(cluster).write_env_file(path)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        credentials = ClusterCredentials.from_env_file(path)
        self.assertEqual(credentials["ZEEBE_CLIENT_ID"], created.client_id)
        self.assertEqual(credentials["ZEEBE_CLIENT_SECRET"], created.client_secret)
        self.assertEqual(credentials["CAMUNDA_CLUSTER_ID"], cluster_id)
        source = TokenSource(credentials, token_cache=Path(os.environ["CAMUNDA_TOKEN_CACHE_DIR"]))
        token = source.access_token()
        self.assertGreater(len(token), 20)
        self.assertEqual(source.access_token(), token)
        source.invalidate("another")
        self.assertEqual(source.access_token(), token)
        source.invalidate(token)
        self.assertNotEqual(source.access_token(), token)
        self.assertEqual(source.stats().token_requests, 2)
        cancel = Cancel()
        cancel.cancel()
        limited = source.with_options(cancel=cancel)
        source.invalidate(source.access_token())
        with self.assertRaises(CancelledError):
            limited.with_options(timeout=20).access_token()

        (client,) = handle.clients.list()
        self.assertEqual((client.name, client.permissions), ("worker", ("Zeebe", "Operate")))
        details = handle.clients.get(created.client_id)
        self.assertEqual(details.zeebe_client_id, created.client_id)
        self.assertTrue(details.zeebe_address)
        handle.clients.delete(created.client_id)
        handle.update(name="orders 2", description="")
        self.assertEqual(handle.get().name, "orders 2")
        handle.delete()
        handle.wait_until_deleted(timeout=30, max_poll_interval=0.05)
        # One for the API, one for Zeebe, and one for Zeebe after the invalidation.
        self.assertEqual(stats()["token_requests"] - before, 3)
        self.assertEqual(admin.stats().token_requests, 1)
        self.assertGreater(admin.stats()["requests"], 10)

    def test_token_is_a_string_with_its_expiry(self):
        admin = self.client()
        before = datetime.now(timezone.utc)
        token = admin.token()
        self.assertIsInstance(token, Token)
        self.assertEqual(token, str(token))
        self.assertIs(type(str(token)), str)
        # The sandbox's tokens are valid for a day.
        left = (token.expires_at - before).total_seconds()
        self.assertTrue(3600 < left <= 86400 + 60, left)
        self.assertEqual(token.expires_at.utcoffset(), timedelta(0))
        self.assertEqual(admin.token_source().access_token().expires_at, token.expires_at)
        self.assertRegex(repr(token), r"^<Token, expires 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\+00:00>$")
        for same in (pickle.loads(pickle.dumps(token)), copy.copy(token), copy.deepcopy(token)):
            self.assertEqual((same, same.expires_at), (token, token.expires_at))

    def test_token_can_be_created(self):
        expiry = datetime(2027, 1, 2, 3, 4, 5, 678000, tzinfo=timezone(timedelta(hours=1)))
        token = Token("abc", expires_at=expiry)
        self.assertEqual((f"Bearer {token}", token.expires_at), ("Bearer abc", expiry))
        self.assertEqual(repr(token), "<Token, expires 2027-01-02 02:04:05+00:00>")
        with self.assertRaisesRegex(TypeError, "^`expires_at`: datetime given; expected an aware datetime$"):
            Token("abc", expiry.replace(tzinfo=None))

    def test_supplied_token_has_the_expiry_of_a_jwt(self):
        # {"exp": 1893456000}
        jwt = "eyJhbGciOiJub25lIn0.eyJleHAiOiAxODkzNDU2MDAwfQ.x"
        for supplied, expiry in [
            (jwt, datetime(2030, 1, 1, tzinfo=timezone.utc)),
            ("abc", datetime.now(timezone.utc) + timedelta(days=30)),
        ]:
            token = AdminClient(access_token=supplied, base_url="http://127.0.0.1:9").token()
            self.assertEqual(token, supplied)
            self.assertLess(abs(token.expires_at - expiry), timedelta(minutes=1))

    def test_credentials_from_env_require_secret(self):
        program = (
            "from camunda_admin import ClusterCredentials; "
            "print(dict(ClusterCredentials.from_env()))"
        )
        ran = self.run_python(program, ZEEBE_CLIENT_ID="a", ZEEBE_CLIENT_SECRET="")
        self.assertIn("ConfigError", ran.stderr)
        self.assertIn("ZEEBE_CLIENT_SECRET", ran.stderr)
        ran = self.run_python(
            program, ZEEBE_CLIENT_ID="a", ZEEBE_CLIENT_SECRET="b", CAMUNDA_OAUTH_URL=""
        )
        self.assertEqual(
            ran.stdout.strip(), "{'ZEEBE_CLIENT_ID': 'a', 'ZEEBE_CLIENT_SECRET': 'b'}"
        )

    def test_write_env_file_fails_when_file_exists(self):
        path = self.folder / "worker.env"
        path.write_text("mine")
        credentials = ClusterCredentials({"ZEEBE_CLIENT_SECRET": "hunter2"})
        with self.assertRaises(FileError) as raised:
            credentials.write_env_file(path)
        self.assertIsInstance(raised.exception, OSError)
        self.assertNotIn("hunter2", str(raised.exception))
        self.assertEqual(path.read_text(), "mine")
        with self.assertRaises(FileError):
            ClusterCredentials.from_env_file(self.folder / "nothing")

    def test_create_env_file_writes_credentials_of_created_client(self):
        handle = self.client().cluster(self.cluster())
        path = self.folder / "worker.env"
        created = handle.clients.create_env_file(path, "worker", permissions=["Zeebe"])
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        written = ClusterCredentials.from_env_file(path)
        self.assertEqual(written["ZEEBE_CLIENT_ID"], created.client_id)
        self.assertEqual(written["ZEEBE_CLIENT_SECRET"], created.client_secret)
        self.assertEqual(written["CAMUNDA_CREDENTIALS_SCOPES"], "Zeebe")
        self.assertEqual(written["CAMUNDA_CLUSTER_REGION"], "bru-2")
        text = path.read_text()
        with self.assertRaises(FileError) as raised:
            handle.clients.create_env_file(path, "other")
        self.assertEqual(raised.exception.outcome, "not_sent")
        self.assertEqual(path.read_text(), text)
        self.assertEqual(len(handle.clients.list()), 1)

        new = self.folder / "new.env"
        for name, permissions, error in [
            ("worker", None, InvalidRequestError),
            ("other", [], InvalidArgumentError),
            ("other", {"Zeebe": True}, InvalidArgumentError),
        ]:
            with self.assertRaises(error):
                handle.clients.create_env_file(new, name, permissions=permissions)
            self.assertFalse(new.exists())
        self.assertEqual(len(handle.clients.list()), 1)

    def test_write_env_file_creates_no_file_when_variable_is_not_valid(self):
        path = self.folder / "worker.env"
        for variables in [{"not a name": "hunter2"}, {"A": "hunter2\0"}]:
            with self.assertRaises(InvalidArgumentError) as raised:
                ClusterCredentials(variables).write_env_file(path)
            self.assertNotIn("hunter2", str(raised.exception))
            self.assertFalse(path.exists())

    def test_env_file_preserves_shell_metacharacters(self):
        path = self.folder / "quoted.env"
        variables = {"A": "it's $HOME \"x\"\\", "B": "", "C": "two\nlines", "D": "ü"}
        ClusterCredentials(variables).write_env_file(path)
        self.assertEqual(dict(ClusterCredentials.from_env_file(path)), variables)


class Resources(SandboxTest):
    @classmethod
    def setUpClass(cls):
        cls.cluster_id = control(cluster={"name": "resources"})["uuid"]
        control(kind={"cluster": cls.cluster_id, "enterprise": True, "aws": True})

    def setUp(self):
        super().setUp()
        self.admin = self.client()
        self.handle = self.admin.cluster(self.cluster_id)

    def test_backups(self):
        backups = self.handle.backups
        backup = backups.create()
        self.assertIsInstance(backup, Backup)
        polled = []
        finished = backups.wait_until_complete(backup.uuid, max_poll_interval=0.05, progress=polled.append)
        self.assertEqual((finished.uuid, finished.status), (backup.uuid, "Complete"))
        self.assertEqual(polled[-1].status, "Complete")
        self.assertIn(backup.uuid, [each.uuid for each in backups.list()])
        self.assertEqual(backups.restore(backup.uuid).backup_id, backup.uuid)
        restored = backups.wait_until_restored(backup.uuid, max_poll_interval=0.05)
        self.assertEqual(restored.state, "COMPLETED")
        self.assertEqual(backups.restore_status(backup.uuid).state, "COMPLETED")
        self.assertEqual(backups.delete(backup.uuid).uuid, backup.uuid)

    def test_backup_schedule(self):
        backups = self.handle.backups
        self.assertEqual(backups.set_schedule("0 2 * * *").schedule, "0 2 * * *")
        self.assertEqual(backups.schedule().schedule, "0 2 * * *")
        backups.delete_schedule()

    def test_secrets(self):
        secrets = self.handle.secrets
        secrets.create("KEY", "hunter2")
        listed = secrets.list()
        self.assertIsInstance(listed, Secrets)
        self.assertEqual(listed["KEY"], "hunter2")
        self.assertNotIn("hunter2", f"{listed} {listed!r}")
        self.assertIn("KEY", repr(listed))
        secrets.update("KEY", "hunter3")
        self.assertEqual(secrets.list().to_dict()["KEY"], "hunter3")
        secrets.delete("KEY")

    def test_monitoring(self):
        monitoring = self.handle.monitoring
        monitoring.activate()
        created = monitoring.create_client("prometheus")
        self.assertTrue(created.password)
        self.assertNotIn(created.password, repr(created))
        rotated = monitoring.rotate_password(created.uuid)
        self.assertNotEqual(rotated.password, created.password)
        state = monitoring.get()
        self.assertIn("prometheus", [client.username for client in state.clients])
        self.assertIsNotNone(state.status.metrics_endpoint)
        monitoring.delete_client(created.uuid)
        monitoring.deactivate()

    def test_secure_connectivity(self):
        secure = self.handle.secure_connectivity
        secure.activate(allowed_principals=["arn:aws:iam::1:root"], allowed_regions=["eu-west-1"])
        spec = secure.get().status.spec
        self.assertEqual(spec.allowed_regions, ("eu-west-1",))
        secure.deactivate()

    def test_allowlist(self):
        handle = self.handle
        handle.set_ip_allowlist([("10.0.0.0/8", "office"), IpAllowlistEntry("192.0.2.0/24", "vpn")])
        self.assertEqual([entry.ip for entry in handle.get().allowlist], ["10.0.0.0/8", "192.0.2.0/24"])
        entries = handle.add_to_ip_allowlist("198.51.100.0/24", "lab")
        self.assertEqual(entries[-1], IpAllowlistEntry("198.51.100.0/24", "lab"))
        entries = handle.remove_from_ip_allowlist("10.0.0.0/8")
        self.assertEqual([entry.ip for entry in entries], ["192.0.2.0/24", "198.51.100.0/24"])
        handle.set_ip_allowlist([])

    def test_allowlist_is_read_from_former_field_name(self):
        self.handle.set_ip_allowlist([("10.0.0.0/8", "office")])
        control(allowlist_field="ipwhitelist")
        self.addCleanup(control, allowlist_field="ipallowlist")
        cluster = self.handle.get()
        self.assertIsNone(cluster.ipallowlist)
        self.assertEqual(cluster.allowlist[0].ip, "10.0.0.0/8")

    def test_members(self):
        members = self.admin.members
        members.set_roles("jo@example.com", ["admin", "analyst"])
        (member,) = [each for each in members.list() if each.email == "jo@example.com"]
        self.assertEqual(sorted(member.roles), ["admin", "analyst"])
        members.delete("jo@example.com")

    def test_activity(self):
        self.handle.update(description="changed")
        events = self.admin.activity.list()
        self.assertTrue(events and events[0].audit)
        rows = list(csv.reader(self.admin.activity.csv()))
        self.assertGreaterEqual(len(rows), len(events))
        text, data = io.StringIO(newline=""), io.BytesIO()
        self.admin.activity.csv(text)
        self.admin.activity.csv(data)
        self.assertEqual(text.getvalue().encode()[:200], data.getvalue()[:200])
        with open(self.folder / "raw.csv", "wb", buffering=0) as raw:
            self.admin.activity.csv(raw)
        self.assertTrue((self.folder / "raw.csv").read_bytes().startswith(data.getvalue()[:100]))

    def test_encryption_upgrade_wake(self):
        handle = self.admin.cluster(self.cluster(encryption={"type": "External"}))
        control(kind={"cluster": handle.id, "enterprise": True, "aws": True})
        region = handle.get().region.name
        handle.set_encryption(
            primary_encryption_key_id="arn:aws:kms:eu-central-1:123456789012:key/"
            "12345678-1234-1234-1234-123456789012"
        ) if "eu-central-1" in region else None
        control(upgrade_available={"cluster": handle.id})
        upgrade = handle.upgrade()
        finished = handle.wait_until_upgraded(upgrade.new_generation.id, max_poll_interval=0.05)
        self.assertEqual(finished.generation.uuid, upgrade.new_generation.id)
        control(status={"cluster": handle.id, "ready": "Suspended"})
        with self.assertRaises(WaitFailedError) as raised:
            handle.wait_until_healthy()
        self.assertIn("suspended", str(raised.exception))
        handle.wake()
        self.assertEqual(handle.wait_until_woken(max_poll_interval=0.05).status.ready, "Healthy")

    def test_ip_ranges_need_no_credentials(self):
        admin = self.client(client_id=None, client_secret=None)
        self.assertTrue(admin.ip_ranges().web_modeler)

    def test_raw_request_returns_decoded_json(self):
        response = self.admin.request("GET", "/clusters")
        self.assertIn(self.cluster_id, [cluster["uuid"] for cluster in response])
        path = f"/clusters/{self.cluster_id}"
        self.assertIsNone(
            self.admin.request("PATCH", path, {"description": "raw"}, idempotency="idempotent")
        )
        self.assertEqual(self.handle.get().description, "raw")


class RoundTrips(SandboxTest):
    def test_unknown_fields_and_enum_values_are_preserved(self):
        fields = {"future": {"n": 9007199254740993, "list": [1.5, None]}}
        cluster_id = self.cluster(name="ü", **fields)
        control(status={"cluster": cluster_id, "ready": "Hibernating"})
        admin = self.client()
        cluster = admin.cluster(cluster_id).get()
        self.assertEqual(cluster.status.ready, "Hibernating")
        self.assertIsInstance(cluster.status.ready, ClusterComponentStatus)
        self.assertEqual(cluster.extra["future"], fields["future"])
        plain = admin.request("GET", f"/clusters/{cluster_id}")
        encoded = cluster.to_dict()
        self.assertEqual({**encoded, **plain}, encoded)
        self.assertEqual(Cluster.from_dict(encoded), cluster)

    def test_to_dict_returns_null_fields(self):
        response = {
            "uuid": "a",
            "name": None,
            "description": None,
            "labels": None,
            "links": {"zeebe": None, "operate": "https://o"},
            "future": None,
        }
        self.fault("GET /clusters/{clusterUuid}", status=200, body=response)
        cluster = self.client().cluster("a").get()
        self.assertEqual((cluster.name, cluster.description, cluster.labels), ("", None, None))
        encoded = cluster.to_dict()
        for name in ["name", "description", "labels", "future"]:
            self.assertIn(name, encoded)
            self.assertIsNone(encoded[name])
        self.assertEqual(encoded["links"], response["links"])
        self.assertNotIn("encryption", encoded)
        self.assertEqual(Cluster.from_dict(encoded).to_dict(), encoded)
        self.assertEqual(pickle.loads(pickle.dumps(cluster)).to_dict(), encoded)
        changed = dataclasses.replace(cluster, description="b").to_dict()
        self.assertEqual(changed["description"], "b")

    def test_models_can_be_copied_and_pickled(self):
        cluster = self.client().cluster(self.cluster(future=1)).get()
        self.assertEqual(pickle.loads(pickle.dumps(cluster)), cluster)
        self.assertEqual(copy.deepcopy(cluster), cluster)
        self.assertEqual(dataclasses.replace(cluster, name="b").name, "b")
        self.assertEqual(dataclasses.asdict(cluster)["status"]["ready"], "Healthy")
        self.assertIs(cluster.status.ready, ClusterComponentStatus.HEALTHY)
        self.assertIs(type(cluster.to_dict()["status"]["ready"]), str)
        with self.assertRaises(dataclasses.FrozenInstanceError):
            cluster.name = "b"

    def test_absent_fields_of_older_responses_have_defaults(self):
        self.fault(
            "POST /clusters/{clusterUuid}/clients",
            body={"name": "old", "clientId": "id", "clientSecret": "hunter2", "links": None},
        )
        created = self.client().cluster(self.cluster()).clients.create("old")
        self.assertEqual((created.uuid, created.permissions, created.links), ("", (), None))
        self.assertEqual(created.client_secret, "hunter2")
        self.assertNotIn("hunter2", f"{created} {created!r}")

    def test_numbers_are_decoded_without_loss(self):
        from decimal import Decimal

        self.fault(
            "GET /clusters/{clusterUuid}",
            body='{"uuid": "a", "a": 1e400, "b": 0.1, "c": 1.10, "d": 9007199254740993, "e": '
            '0.1234567890123456789, "f": ' + "9" * 5000 + "}",
        )
        extra = self.client().cluster(self.cluster()).get().extra
        self.assertEqual(extra["a"], Decimal("1e400"))
        self.assertEqual((extra["b"], extra["c"], extra["d"]), (0.1, 1.1, 9007199254740993))
        self.assertEqual(extra["e"], Decimal("0.1234567890123456789"))
        self.assertEqual(Decimal(extra["f"]), Decimal("9" * 5000))

    def test_byte_order_mark_is_ignored(self):
        self.fault("GET /clusters/{clusterUuid}", body='\ufeff{"uuid": "a"}')
        self.assertEqual(self.client().cluster(self.cluster()).get().uuid, "a")


if __name__ == "__main__":
    unittest.main()
