"""Tests of the objects of responses and of the enumerations."""

import copy
import dataclasses
import inspect
import json
import pickle
import pprint
import subprocess
import sys
import typing
import unittest
from collections import UserDict
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType

import camunda_admin
from camunda_admin import (
    AuditEvent,
    Backup,
    BackupStatus,
    Channel,
    ClientPermission,
    Cluster,
    ClusterComponentStatus,
    ClusterStatus,
    CreatedClusterClient,
    FailoverStep,
    IpAllowlistEntry,
    Model,
    Monitoring,
    OpenEnum,
    Parameters,
    Restore,
    SecureConnectivityState,
    Stats,
)
from camunda_admin._model_base import to_datetime

CLUSTER = {
    "uuid": "a",
    "name": "orders",
    "status": {"ready": "Healthy", "zeebeStatus": "Upgrading", "future": 1},
    "labels": ["prod", "eu"],
    "ipallowlist": [{"ip": "10.0.0.0/8", "description": "office"}],
    "encryption": None,
    "future": {"list": [1, {"b": None}]},
}


def cluster(**changes):
    return Cluster.from_dict({**CLUSTER, **changes})


def model_classes():
    for name in camunda_admin.__all__:
        value = getattr(camunda_admin, name)
        if isinstance(value, type) and issubclass(value, Model) and value is not Model:
            yield value


def sample(each):
    """Return an object with its required fields."""
    fields = {}
    for name in each._required:
        kind = getattr(camunda_admin, getattr(each, name).fget.__annotations__["return"], str)
        fields[name] = sample(kind) if issubclass(kind, Model) else "x"
    return each(**fields)


class Objects(unittest.TestCase):
    def test_fields_are_read_as_attributes(self):
        read = cluster()
        self.assertEqual((read.uuid, read.name, read.labels), ("a", "orders", ("prod", "eu")))
        self.assertIs(read.status.ready, ClusterComponentStatus.HEALTHY)
        self.assertEqual(read.status.zeebe_status, "Upgrading")
        self.assertEqual(read.ipallowlist, (IpAllowlistEntry("10.0.0.0/8", "office"),))
        self.assertIsNone(read.encryption)
        # Absent: empty if the API documents the field as required.
        self.assertEqual((read.owner_id, read.auto_update, read.plan_type.name), ("", False, ""))

    def test_nested_object_is_the_same_each_time(self):
        read = cluster()
        self.assertIs(read.status, read.status)
        self.assertIs(read.ipallowlist, read.ipallowlist)

    def test_to_dict_returns_the_response(self):
        read = cluster()
        self.assertEqual(read.to_dict(), CLUSTER)
        # Also after nested objects were read.
        self.assertEqual((read.status.to_dict(), read.ipallowlist[0].ip), (CLUSTER["status"], "10.0.0.0/8"))
        self.assertEqual(read.to_dict(), CLUSTER)
        self.assertIs(type(read.to_dict()["status"]), dict)
        self.assertEqual(Cluster.from_dict(read.to_dict()), read)

    def test_unknown_fields_are_in_extra(self):
        read = cluster()
        self.assertEqual(read.extra, {"future": {"list": [1, {"b": None}]}})
        self.assertEqual(read.status.extra, {"future": 1})

    def test_changes_of_returned_dicts_do_not_change_the_object(self):
        read = cluster()
        read.extra["future"]["list"].append(2)
        read.to_dict()["status"]["ready"] = "Broken"
        self.assertEqual(read.to_dict(), CLUSTER)
        given = copy.deepcopy(CLUSTER)
        read = Cluster.from_dict(given)
        given["status"]["ready"] = "Broken"
        self.assertEqual(read.status.ready, "Healthy")

    def test_equal_objects_have_equal_hashes(self):
        first, second = FailoverStep({"error": "a", "code": 1}), FailoverStep({"code": 1, "error": "a"})
        self.assertEqual(first, second)
        self.assertEqual(hash(first), hash(second))
        for number in ["1.0", "100000000000000000000000000000e-29"]:
            whole, other = (
                SecureConnectivityState.from_dict(json.loads('{"observedGeneration": %s}' % text, parse_float=Decimal))
                for text in ("1", number)
            )
            self.assertEqual(whole, other)
            self.assertEqual(hash(whole), hash(other))

    def test_changes_of_the_dict_of_a_failover_step_do_not_change_it(self):
        step = FailoverStep({"error": "a"})
        step.to_dict()["error"] = "b"
        self.assertEqual(step.error, "a")

    def test_attributes_cannot_be_set_or_deleted(self):
        read = cluster()
        for change in [
            lambda: setattr(read, "name", "b"),
            lambda: setattr(read, "misspelt", "b"),
            lambda: setattr(read, "_data", {}),
            lambda: delattr(read, "name"),
        ]:
            with self.assertRaises(dataclasses.FrozenInstanceError):
                change()
        self.assertEqual(read.name, "orders")

    def test_objects_with_equal_fields_are_equal(self):
        read = cluster()
        read.status.ready
        self.assertEqual(read, cluster())
        self.assertEqual(hash(read), hash(cluster()))
        # An absent field, one that is null, and one that has its default value.
        self.assertEqual(Cluster(uuid="a"), Cluster.from_dict({"uuid": "a", "name": None}))
        self.assertEqual(Cluster(uuid="a"), Cluster(uuid="a", name=""))
        for other in [
            cluster(name="b"),
            cluster(status={"ready": "Healthy"}),
            cluster(labels=["prod"]),
            cluster(future=2),
            CLUSTER,
            None,
        ]:
            self.assertNotEqual(read, other)
        self.assertEqual(len({read, cluster(), cluster(name="b")}), 2)

    def test_every_class_can_be_hashed_copied_pickled_and_shown(self):
        classes = list(model_classes())
        self.assertGreater(len(classes), 30)
        for each in classes:
            with self.subTest(each=each.__name__):
                made = sample(each)
                self.assertEqual(hash(made), hash(copy.copy(made)))
                self.assertEqual(copy.deepcopy(made), made)
                for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
                    self.assertEqual(pickle.loads(pickle.dumps(made, protocol)), made)
                self.assertTrue(repr(made).startswith(f"{each.__name__}("))
                self.assertEqual([f.name for f in dataclasses.fields(made)], [*each._names, "extra"])

    def test_classes_have_the_name_of_the_package(self):
        for name in camunda_admin.__all__:
            value = getattr(camunda_admin, name)
            if isinstance(value, type):
                self.assertEqual(f"{value.__module__}.{value.__qualname__}", f"camunda_admin.{name}")
        self.assertNotIn(b"camunda_admin._", pickle.dumps([cluster(), ClientPermission.ZEEBE]))

    def test_repr_shows_fields_but_no_secrets_and_no_unknown_fields(self):
        created = CreatedClusterClient(name="w", client_id="i", client_secret="hunter2", extra={"k": "hunter2"})
        self.assertIn("client_id='i'", repr(created))
        self.assertNotIn("hunter2", repr(created))
        self.assertEqual(created.client_secret, "hunter2")
        self.assertEqual(repr(IpAllowlistEntry("a", "b")), "IpAllowlistEntry(ip='a', description='b')")

    def test_functions_of_dataclasses_accept_objects(self):
        read = cluster()
        self.assertTrue(dataclasses.is_dataclass(read))
        replaced = dataclasses.replace(read, name="b", status=ClusterStatus(ready="Creating"))
        self.assertEqual((replaced.name, replaced.status.ready, replaced.uuid), ("b", "Creating", "a"))
        self.assertEqual(replaced.extra, read.extra)
        self.assertEqual(dataclasses.asdict(read)["status"]["ready"], "Healthy")
        self.assertNotIn("client_secret", [f.name for f in dataclasses.fields(CreatedClusterClient) if f.repr])

    def test_modules_that_know_dataclasses_accept_objects(self):
        read = cluster()
        self.assertEqual(pprint.pformat(read, width=20), repr(read))
        created = CreatedClusterClient(name="worker", client_id="a", client_secret="hunter2")
        self.assertNotIn("hunter2", pprint.pformat([created], width=20))
        self.assertTrue(read.__dataclass_params__.frozen)
        for each in (Model, Cluster, CreatedClusterClient):
            self.assertEqual(typing.get_type_hints(each), {})

    def test_replace_keeps_what_it_does_not_replace(self):
        read = cluster(created="yesterday")
        replaced = read.replace(name="b", labels=None)
        self.assertEqual(replaced.to_dict(), {**{k: v for k, v in read.to_dict().items() if k != "labels"}, "name": "b"})
        with self.assertRaisesRegex(TypeError, "Cluster has no field 'nmae'"):
            read.replace(nmae="b")
        if sys.version_info >= (3, 13):
            self.assertEqual(copy.replace(read, name="b", labels=None), replaced)

    @unittest.skipUnless(sys.version_info >= (3, 10), "class patterns are of Python 3.10")
    def test_class_patterns_match_fields(self):
        program = """if True:
            match read:
                case Cluster(uuid, status=ClusterStatus(ready=ClusterComponentStatus.HEALTHY)):
                    found = uuid
        """
        scope = {**globals(), "read": cluster()}
        exec(program, scope)
        self.assertEqual(scope["found"], "a")

    def test_constructor_has_a_parameter_for_each_field(self):
        parameters = inspect.signature(Channel).parameters
        self.assertEqual(list(parameters), ["uuid", "default_generation", "name", "allowed_generations", "extra"])
        with self.assertRaisesRegex(TypeError, "unexpected keyword argument 'nmae'"):
            Channel(nmae="b")

    def test_from_dict_names_what_is_missing_or_of_the_wrong_type(self):
        with self.assertRaisesRegex(KeyError, "uuid"):
            Cluster.from_dict({"name": "a"})
        with self.assertRaisesRegex(TypeError, "Cluster: list given; expected a dict"):
            Cluster.from_dict([])
        with self.assertRaisesRegex(TypeError, "^Cluster.status: str given; expected a ClusterStatus or a dict$"):
            Cluster.from_dict({"uuid": "a", "status": "Healthy"})
        expected = "str given; expected an IpAllowlistEntry or a dict"
        with self.assertRaisesRegex(TypeError, rf"^Cluster.ipallowlist\[0\]: {expected}$"):
            Cluster.from_dict({"uuid": "a", "ipallowlist": ["10.0.0.0/8"]})
        for labels in (b"ab", {"ab"}):
            with self.assertRaisesRegex(TypeError, f"^Cluster.labels: {type(labels).__name__} given; expected a list$"):
                Cluster.from_dict({"uuid": "a", "labels": labels})

    def test_fields_are_documented_in_the_class_and_at_the_attribute(self):
        for each in model_classes():
            documented = inspect.getdoc(each).partition("Attributes:\n")[2]
            for name in [*each._names, "extra"]:
                self.assertIn(f"    {name}: ", documented, each)
                self.assertTrue(getattr(each, name).__doc__, f"{each}.{name}")

    def test_stats_are_read_by_attribute_and_by_name(self):
        stats = Stats(requests=2, extra={"future": 3})
        self.assertEqual((stats.requests, stats["requests"], stats["future"], stats.calls), (2, 2, 3, 0))
        with self.assertRaises(KeyError):
            stats["misspelt"]


class Times(unittest.TestCase):
    def test_text_and_number_are_aware_datetimes(self):
        utc = timezone.utc
        for value, expected in [
            ("2025-03-04T05:06:07Z", datetime(2025, 3, 4, 5, 6, 7, tzinfo=utc)),
            ("2025-03-04t05:06:07.5z", datetime(2025, 3, 4, 5, 6, 7, 500_000, utc)),
            ("2025-03-04 05:06:07.123456789Z", datetime(2025, 3, 4, 5, 6, 7, 123_456, utc)),
            ("2025-03-04T05:06:07-07:30", datetime(2025, 3, 4, 12, 36, 7, tzinfo=utc)),
            ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=utc)),
            (1741064767000, datetime(2025, 3, 4, 5, 6, 7, tzinfo=utc)),
            (1741064767000.5, datetime(2025, 3, 4, 5, 6, 7, 500, utc)),
            (0, datetime(1970, 1, 1, tzinfo=utc)),
            (-1, datetime(1969, 12, 31, 23, 59, 59, 999_000, utc)),
        ]:
            with self.subTest(value=value):
                self.assertEqual(to_datetime(value), expected)
        self.assertEqual(to_datetime("2025-03-04T05:06:07-07:30").utcoffset(), timedelta(hours=-7.5))

    def test_value_that_is_not_a_valid_time_is_none(self):
        for value in [
            None, "", "yesterday", "2025-03-04", "2025-03-04T05:06:07", "2025-13-04T05:06:07Z",
            "2025-02-30T05:06:07Z", "2025-03-04T25:06:07Z", "2025-03-04T05:06:61Z",
            "2025-03-04T05:06:07.Z", "2025-03-04T05:06:07+24:00", "２025-03-04T05:06:07Z",
            "2025-03-04T05:06:07Z\n", "0000-03-04T05:06:07Z", "9999-12-31T23:59:60Z", 10**30, 1e400, {},
        ]:
            with self.subTest(value=value):
                self.assertIsNone(to_datetime(value))

    def test_time_of_audit_event_is_a_datetime(self):
        event = AuditEvent.from_dict({"timestamp": 1741064767000})
        self.assertEqual(event.timestamp, datetime(2025, 3, 4, 5, 6, 7, tzinfo=timezone.utc))
        self.assertEqual(event.to_dict(), {"timestamp": 1741064767000})
        self.assertIsNone(AuditEvent().timestamp)

    def test_iterables_are_read_once(self):
        for labels in [(each for each in "ab"), dict.fromkeys("ab").keys(), ("a", "b")]:
            cluster = Cluster(uuid="1", name="a", labels=labels)
            self.assertEqual((cluster.labels, cluster.labels), (("a", "b"),) * 2)
            self.assertEqual(json.loads(json.dumps(cluster.to_dict()))["labels"], ["a", "b"])
        entry = IpAllowlistEntry(ip="10.0.0.0/8", description="")
        cluster = cluster.replace(ipallowlist=(each for each in [entry]), labels={"c"})
        self.assertEqual(pickle.loads(pickle.dumps(cluster)), cluster)
        self.assertEqual((cluster.ipallowlist, cluster.labels), ((entry,), ("c",)))

    def test_values_that_are_no_objects_or_lists_are_rejected(self):
        cluster = Cluster(uuid="1", name="a")
        entry = "expected an IpAllowlistEntry or a dict"
        for fields, message in [
            ({"status": "Healthy"}, "Cluster.status: str given; expected a ClusterStatus or a dict"),
            ({"status": cluster}, "Cluster.status: Cluster given; expected a ClusterStatus or a dict"),
            ({"labels": "prod"}, "Cluster.labels: str given; expected a list"),
            ({"labels": {"a": 1}}, "Cluster.labels: dict given; expected a list"),
            ({"labels": 5}, "Cluster.labels: 'int' object is not iterable"),
            ({"labels": 0}, "Cluster.labels: int given; expected a list"),
            ({"labels": b"ab"}, "Cluster.labels: bytes given; expected a list"),
            ({"labels": bytearray(b"ab")}, "Cluster.labels: bytearray given; expected a list"),
            ({"labels": memoryview(b"ab")}, "Cluster.labels: memoryview given; expected a list"),
            ({"ipallowlist": "10.0.0.0/8"}, "Cluster.ipallowlist: str given; expected a list"),
            ({"ipallowlist": b"ab"}, "Cluster.ipallowlist: bytes given; expected a list"),
            ({"ipallowlist": 5}, "Cluster.ipallowlist: int given; expected a list"),
            ({"ipallowlist": ["10.0.0.0/8"]}, f"Cluster.ipallowlist[0]: str given; {entry}"),
            ({"ipallowlist": {"10.0.0.0/8": 1}.keys()}, f"Cluster.ipallowlist[0]: str given; {entry}"),
            ({"ipallowlist": [{}, ("10.0.0.0/8", "x")]}, f"Cluster.ipallowlist[1]: list or tuple given; {entry}"),
            ({"ipallowlist": [None]}, f"Cluster.ipallowlist[0]: NoneType given; {entry}"),
            ({"ipallowlist": [cluster]}, f"Cluster.ipallowlist[0]: Cluster given; {entry}"),
        ]:
            for make in (cluster.replace, lambda **fields: Cluster(uuid="1", name="a", **fields)):
                with self.subTest(message=message), self.assertRaises(TypeError) as raised:
                    make(**fields)
                self.assertEqual(str(raised.exception), message)

    def test_extra_cannot_have_known_fields(self):
        for extra, message in [
            ({"name": "b"}, "Cluster.extra: 'name' is a field; give it as the argument 'name'"),
            ({"a": 1, "planType": {}}, "Cluster.extra: 'planType' is a field; give it as the argument 'plan_type'"),
            (["name"], "Cluster.extra: list given; expected a dict"),
            ("name", "Cluster.extra: str given; expected a dict"),
        ]:
            for make in (cluster().replace, lambda **fields: Cluster(uuid="1", name="a", **fields)):
                with self.subTest(message=message), self.assertRaises(TypeError) as raised:
                    make(extra=extra)
                self.assertEqual(str(raised.exception), message)
        self.assertEqual(cluster().replace(extra={}).extra, {})

    def test_objects_without_required_fields_can_be_pickled(self):
        for made in (Cluster(uuid="1", ipallowlist=[{}]), cluster().replace(uuid=None)):
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
                self.assertEqual(pickle.loads(pickle.dumps(made, protocol)), made)

    def test_fields_of_given_dicts_are_checked(self):
        generation = "expected a Generation or a dict"
        channels = [{"uuid": "1", "defaultGeneration": {"uuid": "2"}, "allowedGenerations": ["8.8"]}]
        for kind, fields, message in [
            (Parameters, {"channels": channels}, f"Channel.allowed_generations[0]: str given; {generation}"),
            (
                Monitoring,
                {"status": {"metricsEndpoint": "x"}},
                "MonitoringStatus.metrics_endpoint: str given; expected a MetricsEndpoint or a dict",
            ),
        ]:
            for make in (kind, kind().replace, lambda **fields: kind.from_dict(fields)):
                with self.subTest(message=message), self.assertRaises(TypeError) as raised:
                    make(**fields)
                self.assertEqual(str(raised.exception), message)

    def test_mappings_are_read_as_dicts(self):
        for read_only in (MappingProxyType, UserDict):
            with self.subTest(kind=read_only.__name__):
                status = read_only({"ready": "Healthy", "future": read_only({"a": [read_only({"b": 1})]})})
                entry = read_only({"ip": "10.0.0.0/8", "description": "office"})
                fields = {"status": status, "ipallowlist": [entry], "labels": ["prod"]}
                expected = {
                    "uuid": "1",
                    "status": {"ready": "Healthy", "future": {"a": [{"b": 1}]}},
                    "ipallowlist": [{"ip": "10.0.0.0/8", "description": "office"}],
                    "labels": ["prod"],
                }
                for made in (
                    Cluster(uuid="1", **fields),
                    Cluster(uuid="1").replace(**fields),
                    Cluster.from_dict(read_only({"uuid": "1", **fields})),
                ):
                    self.assertEqual(json.loads(json.dumps(made.to_dict())), expected)
                    self.assertEqual(made.ipallowlist, (IpAllowlistEntry("10.0.0.0/8", "office"),))
                    self.assertEqual(pickle.loads(pickle.dumps(made)), made)
                extra = read_only({"future": read_only({"a": 1})})
                for made in (Cluster(uuid="1", extra=extra), Cluster(uuid="1").replace(extra=extra)):
                    self.assertEqual(json.loads(json.dumps(made.to_dict())), {"uuid": "1", "future": {"a": 1}})
                with self.assertRaisesRegex(TypeError, "^Cluster.labels: dict given; expected a list$"):
                    Cluster(uuid="1", labels=read_only({"a": 1}))

    def test_constructor_accepts_datetimes(self):
        time = datetime(2025, 3, 4, 5, 6, 7, tzinfo=timezone.utc)
        event = AuditEvent(timestamp=time)
        self.assertEqual(event.timestamp, time)
        self.assertEqual(pickle.loads(pickle.dumps(event)), event)

    def test_times_without_time_zone_are_not_accepted(self):
        # Their text is not a valid time of the API, so that they would be read as None.
        for time in [datetime(2025, 3, 4, 5, 6, 7), date(2025, 3, 4)]:
            for use in [
                lambda: AuditEvent(timestamp=time),
                lambda: cluster().replace(created=time),
                lambda: Cluster.from_dict({**CLUSTER, "created": time}),
            ]:
                with self.assertRaisesRegex(TypeError, f"{type(time).__name__} without a time zone.*aware datetime"):
                    use()


class Enumerations(unittest.TestCase):
    def test_class_is_a_container_of_the_known_values(self):
        values = ["Zeebe", "Operate", "Tasklist", "Optimize", "Secrets"]
        self.assertEqual(list(ClientPermission), values)
        self.assertEqual(len(ClientPermission), 5)
        self.assertIn("Zeebe", ClientPermission)
        self.assertIn(ClientPermission.ZEEBE, ClientPermission)
        for other in ["zeebe", "", "Future", None, 5, ClientPermission("Future")]:
            self.assertNotIn(other, ClientPermission)
        self.assertEqual(ClientPermission.__members__["ZEEBE"], "Zeebe")
        self.assertTrue(ClientPermission)

    def test_values_are_strings_that_are_created_once(self):
        self.assertIs(ClientPermission("Zeebe"), ClientPermission.ZEEBE)
        self.assertIs(copy.deepcopy(ClientPermission.ZEEBE), ClientPermission.ZEEBE)
        self.assertIs(pickle.loads(pickle.dumps(ClientPermission.ZEEBE)), ClientPermission.ZEEBE)
        self.assertEqual(f"{ClientPermission.ZEEBE}", "Zeebe")
        self.assertEqual((ClientPermission.ZEEBE.name, ClientPermission.ZEEBE.value), ("ZEEBE", "Zeebe"))
        self.assertIs(type(ClientPermission.ZEEBE.value), str)

    def test_unknown_value_passes_through(self):
        future = Backup(uuid="a", status="Future").status
        self.assertEqual(future, "Future")
        self.assertIsInstance(future, BackupStatus)
        self.assertIsNone(future.name)
        self.assertEqual(pickle.loads(pickle.dumps(future)), "Future")
        # An absent one is empty.
        self.assertEqual(Restore().state, "")

    def test_constants_cannot_be_assigned_and_values_are_strings(self):
        with self.assertRaises(AttributeError):
            ClientPermission.ZEEBE = "b"
        with self.assertRaisesRegex(TypeError, "ClientPermission: int given; expected a str"):
            ClientPermission(5)

    def test_constants_are_documented(self):
        for name in camunda_admin.__all__:
            each = getattr(camunda_admin, name)
            if isinstance(each, type) and issubclass(each, OpenEnum) and each is not OpenEnum:
                self.assertGreater(len(each), 0)
                for constant in each.__members__:
                    self.assertIn(f"    {constant}: ", inspect.getdoc(each))


class Import(unittest.TestCase):
    def test_import_loads_no_module_that_is_slow_to_import(self):
        program = "import sys; before = set(sys.modules); import camunda_admin; print(*set(sys.modules) - before)"
        # Without the modules of the site packages, some of which import others at start.
        path = str(__import__("pathlib").Path(camunda_admin.__file__).parents[1])
        ran = subprocess.run(
            [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {path!r}); {program}"],
            stdout=subprocess.PIPE,
            universal_newlines=True,
            check=True,
            timeout=60,
        )
        loaded = set(ran.stdout.split())
        self.assertIn("camunda_admin._operations", loaded)
        slow = {
            "ast", "collections", "contextlib", "copy", "dataclasses", "datetime", "decimal", "enum", "inspect", "json",
            "logging", "pathlib", "re", "threading", "typing", "urllib", "urllib.parse", "camunda_admin._credentials",
            "camunda_admin._model_base", "camunda_admin._models", "camunda_admin._token_store", "camunda_admin._types",
        }
        self.assertEqual(loaded & slow, set())


if __name__ == "__main__":
    unittest.main()
