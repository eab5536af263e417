"""Tests of the messages for mistakes in arguments and settings: what was passed, and what is expected."""

import decimal
import fractions
import inspect
import io
import ipaddress
import itertools
import re
import threading
import unittest
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

import camunda_admin
from camunda_admin import (
    AdminClient,
    CamundaError,
    Cancel,
    CancelledError,
    ClusterCredentials,
    ConfigError,
    FileError,
    InvalidArgumentError,
    Model,
    OutcomeUnknownError,
    Token,
    TokenSource,
)
from support import SandboxTest, stats

CREATE = {
    "name": "a", "channel_id": "b", "generation_id": "c", "region_id": "d", "plan_type_id": "e",
}
NETWORK = ipaddress.ip_network("10.0.0.0/8")
VARIABLES = {
    "ZEEBE_CLIENT_ID": "a",
    "ZEEBE_CLIENT_SECRET": "b",
    "ZEEBE_AUTHORIZATION_SERVER_URL": "http://127.0.0.1:9/",
    "ZEEBE_TOKEN_AUDIENCE": "zeebe",
}
SECONDS = "expected a number of seconds above zero, or a timedelta"

# The call, TypeError or ValueError, and the message; None: the library has its own.
MISTAKES = [
    # Ids and names in the path.
    (lambda admin, it: admin.cluster(""), ValueError, "`cluster_id` is empty; expected an id"),
    (lambda admin, it: admin.cluster(None), TypeError, "`cluster_id`: None given; expected an id: a str or a uuid.UUID"),
    (lambda admin, it: admin.cluster(5), TypeError, "`cluster_id`: int given; expected an id: a str or a uuid.UUID"),
    (lambda admin, it: admin.cluster(b"a"), TypeError, "`cluster_id`: bytes given; expected an id: a str or a uuid.UUID"),
    (lambda admin, it: admin.cluster(it.get()), TypeError, "`cluster_id`: Cluster given; expected an id: a str or a uuid.UUID"),
    (lambda admin, it: admin.cluster(".."), ValueError, "`cluster_id`: '..' has a `.` or `..` segment, with which the request could reach another resource"),
    (lambda admin, it: admin.cluster("a/%2e%2E/b"), ValueError, "`cluster_id`: 'a/%2e%2E/b' has a `.` or `..` segment, with which the request could reach another resource"),
    (lambda admin, it: admin.cluster("a\0b"), ValueError, "`cluster_id`: NUL character; expected a string without NUL characters"),
    (lambda admin, it: admin.cluster("\ud800"), ValueError, "`cluster_id`: unpaired surrogate; expected a string that can be encoded as UTF-8"),
    (lambda admin, it: it.clients.get(""), ValueError, "`client_id` is empty; expected an id"),
    (lambda admin, it: it.clients.get(None), TypeError, "`client_id`: None given; expected an id: a str or a uuid.UUID"),
    (lambda admin, it: it.clients.delete(5), TypeError, "`client_id`: int given; expected an id: a str or a uuid.UUID"),
    (lambda admin, it: it.clients.delete("."), ValueError, "`client_id`: '.' has a `.` or `..` segment, with which the request could reach another resource"),
    (lambda admin, it: it.backups.delete(""), ValueError, "`backup_id` is empty; expected an id"),
    (lambda admin, it: it.backups.restore(["a"]), TypeError, "`backup_id`: list given; expected an id: a str or a uuid.UUID"),
    (lambda admin, it: it.backups.restore_status(True), TypeError, "`backup_id`: bool given; expected an id: a str or a uuid.UUID"),
    (lambda admin, it: it.backups.wait_until_complete(""), ValueError, "`backup_id` is empty; expected an id"),
    (lambda admin, it: it.secrets.delete(""), ValueError, "`name` is empty; expected a name"),
    (lambda admin, it: it.secrets.delete(None), TypeError, "`name`: None given; expected a str"),
    (lambda admin, it: it.secrets.update("..", "x"), ValueError, "`name`: '..' has a `.` or `..` segment, with which the request could reach another resource"),
    (lambda admin, it: it.monitoring.delete_client(""), ValueError, "`client_uuid` is empty; expected an id"),
    (lambda admin, it: it.monitoring.rotate_password(None), TypeError, "`client_uuid`: None given; expected an id: a str or a uuid.UUID"),
    (lambda admin, it: admin.members.delete(""), ValueError, "`email` is empty; expected a name"),
    (lambda admin, it: admin.members.delete(uuid.uuid4()), TypeError, "`email`: UUID given; expected a str"),
    (lambda admin, it: it.wait_until_upgraded(None), TypeError, "`generation_id`: None given; expected an id: a str or a uuid.UUID"),
    # Fields of requests.
    (lambda admin, it: admin.clusters.create(**{**CREATE, "name": None}), TypeError, "`name`: None given; expected a str"),
    (lambda admin, it: admin.clusters.create(**{**CREATE, "name": 5}), TypeError, "`name`: int given; expected a str"),
    (lambda admin, it: admin.clusters.create(**{**CREATE, "channel_id": ""}), ValueError, "`channel_id` is empty; expected an id"),
    (lambda admin, it: admin.clusters.create(**{**CREATE, "plan_type_id": 5}), TypeError, "`plan_type_id`: int given; expected an id: a str or a uuid.UUID"),
    (lambda admin, it: admin.clusters.create(**CREATE, auto_update="yes"), TypeError, "`auto_update`: str given; expected True or False"),
    (lambda admin, it: admin.clusters.create(**CREATE, auto_update=1), TypeError, "`auto_update`: int given; expected True or False"),
    (lambda admin, it: admin.clusters.create(**CREATE, hardware_packages="2"), TypeError, "`hardware_packages`: str given; expected an int"),
    (lambda admin, it: admin.clusters.create(**CREATE, hardware_packages=True), TypeError, "`hardware_packages`: bool given; expected an int"),
    (lambda admin, it: admin.clusters.create(**CREATE, hardware_packages=1.5), TypeError, "`hardware_packages`: float given; expected an int"),
    (lambda admin, it: admin.clusters.create(**CREATE, hardware_packages=-1), ValueError, "`hardware_packages`: -1 given; expected an int from 0 to 4294967295"),
    (lambda admin, it: admin.clusters.create(**CREATE, hardware_packages=2**32), ValueError, "`hardware_packages`: 4294967296 given; expected an int from 0 to 4294967295"),
    (lambda admin, it: admin.clusters.create(**CREATE, encryption=5), TypeError, "`encryption`: int given; expected a str"),
    (lambda admin, it: admin.clusters.create(**CREATE, stage_label=["dev"]), TypeError, "`stage_label`: list given; expected a str"),
    (lambda admin, it: admin.clusters.create(**CREATE, description=b"x"), TypeError, "`description`: bytes given; expected a str"),
    (lambda admin, it: it.update(name=5), TypeError, "`name`: int given; expected a str"),
    (lambda admin, it: it.update(name="\ud800"), ValueError, "`name`: unpaired surrogate; expected a string that can be encoded as UTF-8"),
    (lambda admin, it: it.update(number_of_allocated_hw_packages="many"), TypeError, "`number_of_allocated_hw_packages`: str given; expected an int"),
    (lambda admin, it: it.update(number_of_allocated_hw_packages=float("nan")), TypeError, "`number_of_allocated_hw_packages`: float given; expected an int"),
    (lambda admin, it: it.set_encryption(primary_encryption_key_id=None), TypeError, "`primary_encryption_key_id`: None given; expected an id: a str or a uuid.UUID"),
    (lambda admin, it: it.fail_over(restore_backup_id="a", backup_ids="a"), TypeError, "`backup_ids`: str given; expected a list of str"),
    (lambda admin, it: it.fail_over(restore_backup_id="a", backup_ids=[""]), ValueError, "`backup_ids[0]` is empty; expected an id"),
    (lambda admin, it: it.fail_over(restore_backup_id="a", backup_ids=["a", None]), TypeError, "`backup_ids[1]`: None given; expected an id: a str or a uuid.UUID"),
    (lambda admin, it: it.clients.create(5), TypeError, "`name`: int given; expected a str"),
    (lambda admin, it: it.clients.create("a", permissions="Zeebe"), TypeError, "`permissions`: str given; expected a list of str"),
    (lambda admin, it: it.clients.create("a", permissions=5), TypeError, "`permissions`: int given; expected a list of str"),
    (lambda admin, it: it.clients.create("a", permissions={"Zeebe": True}), TypeError, "`permissions`: dict given; expected a list of str"),
    (lambda admin, it: it.clients.create("a", permissions=["Zeebe", 5]), TypeError, "`permissions[1]`: int given; expected a str"),
    (lambda admin, it: it.clients.create("a", permissions=[]), ValueError, "`permissions` is an empty list; the API treats it as all permissions: name at least one, or omit the field for all"),
    (lambda admin, it: it.clients.create_env_file("x.env", "a", permissions=[]), ValueError, "`permissions` is an empty list; omit the argument for all permissions"),
    (lambda admin, it: it.clients.create_env_file(5, "a"), TypeError, "`path`: int given; expected a path: a str or an os.PathLike"),
    (lambda admin, it: it.clients.create_env_file("", "a"), ValueError, "`path` is empty; expected the path of a file"),
    (lambda admin, it: it.clients.create_env_file("x.env", None), TypeError, "`name`: None given; expected a str"),
    (lambda admin, it: it.secrets.create("a", 5), TypeError, "`value`: int given; expected a str"),
    (lambda admin, it: it.secrets.create("a", b"hunter2"), TypeError, "`value`: bytes given; expected a str"),
    (lambda admin, it: it.secrets.create("a", {"v": "hunter2"}), TypeError, "`value`: dict given; expected a str"),
    (lambda admin, it: it.secrets.update("a", None), TypeError, "`value`: None given; expected a str"),
    (lambda admin, it: it.backups.set_schedule(5), TypeError, "`cron`: int given; expected a str"),
    (lambda admin, it: it.monitoring.create_client(None), TypeError, "`username`: None given; expected a str"),
    (lambda admin, it: it.secure_connectivity.activate(allowed_principals="a", allowed_regions=["b"]), TypeError, "`allowed_principals`: str given; expected a list of str"),
    (lambda admin, it: it.secure_connectivity.activate(allowed_principals=["a"], allowed_regions=[1]), TypeError, "`allowed_regions[0]`: int given; expected a str"),
    (lambda admin, it: admin.members.set_roles("a@b", "admin"), TypeError, "`roles`: str given; expected a list of str"),
    (lambda admin, it: admin.members.set_roles("a@b", list), TypeError, "`roles`: type given; expected a list of str"),
    (lambda admin, it: admin.members.set_roles("a@b", [None]), TypeError, "`roles[0]`: None given; expected a str"),
    # The IP allowlist.
    (lambda admin, it: it.set_ip_allowlist("10.0.0.0/8"), TypeError, '`entries`: str given; expected a list of entries such as ("10.0.0.0/8", "office")'),
    (lambda admin, it: it.set_ip_allowlist({"10.0.0.0/8": "office"}), TypeError, '`entries`: dict given; expected a list of entries such as ("10.0.0.0/8", "office")'),
    (lambda admin, it: it.set_ip_allowlist(["10.0.0.0/8"]), TypeError, "`entries[0]`: str given; expected a pair of CIDR and description, or an IpAllowlistEntry"),
    (lambda admin, it: it.set_ip_allowlist([NETWORK]), TypeError, "`entries[0]`: IPv4Network given; expected a pair of CIDR and description, or an IpAllowlistEntry"),
    (lambda admin, it: it.set_ip_allowlist([("10.0.0.0/8",)]), ValueError, "`entries[0]`: 1 values given; expected a pair of CIDR and description, or an IpAllowlistEntry"),
    (lambda admin, it: it.set_ip_allowlist([(1, "office")]), TypeError, "`entries[0][0]`: int given; expected a CIDR: a str, or an object of ipaddress"),
    (lambda admin, it: it.set_ip_allowlist([("", "office")]), ValueError, "`entries[0][0]` is empty; expected a CIDR"),
    (lambda admin, it: it.set_ip_allowlist([(NETWORK, None)]), TypeError, "`entries[0][1]`: None given; expected a str"),
    (lambda admin, it: it.add_to_ip_allowlist("10.0.0.0/8", None), TypeError, "`description`: None given; expected a str"),
    (lambda admin, it: it.add_to_ip_allowlist(5), TypeError, "`ip`: int given; expected a CIDR: a str, or an object of ipaddress"),
    (lambda admin, it: it.remove_from_ip_allowlist(""), ValueError, "`ip` is empty; expected a CIDR"),
    # Options of calls.
    (lambda admin, it: admin.with_options(timeout=0), ValueError, f"`timeout`: 0 given; {SECONDS}"),
    (lambda admin, it: admin.with_options(timeout=-1), ValueError, f"`timeout`: -1 given; {SECONDS}"),
    (lambda admin, it: admin.with_options(timeout=float("inf")), ValueError, f"`timeout`: inf given; {SECONDS}"),
    (lambda admin, it: admin.with_options(timeout=float("nan")), ValueError, f"`timeout`: nan given; {SECONDS}"),
    (lambda admin, it: admin.with_options(timeout=10**400), ValueError, f"`timeout`: {str(10**400)[:57]}... given; expected less than 1.8e19 seconds"),
    (lambda admin, it: admin.with_options(timeout=1.8e19), ValueError, "`timeout`: 1.8e+19 given; expected less than 1.8e19 seconds"),
    (lambda admin, it: admin.with_options(timeout=1e-10), ValueError, "`timeout`: 1e-10 given; expected at least 1e-9 seconds"),
    (lambda admin, it: it.wait_until_healthy(max_poll_interval=1e300), ValueError, "`max_poll_interval`: 1e+300 given; expected less than 1.8e19 seconds"),
    (lambda admin, it: AdminClient(timeout=1e300), ValueError, "`timeout`: 1e+300 given; expected less than 1.8e19 seconds"),
    (lambda admin, it: admin.with_options(timeout=timedelta(0)), ValueError, f"`timeout`: datetime.timedelta(0) given; {SECONDS}"),
    (lambda admin, it: admin.with_options(timeout=10**400), ValueError, None),
    (lambda admin, it: admin.with_options(timeout="5"), TypeError, f"`timeout`: str given; {SECONDS}"),
    (lambda admin, it: admin.with_options(timeout=True), TypeError, f"`timeout`: bool given; {SECONDS}"),
    (lambda admin, it: admin.with_options(timeout=decimal.Decimal(5)), TypeError, f"`timeout`: Decimal given; {SECONDS}"),
    (lambda admin, it: admin.with_options(timeout=fractions.Fraction(5)), TypeError, f"`timeout`: Fraction given; {SECONDS}"),
    (lambda admin, it: admin.with_options(timeout=datetime.max), TypeError, f"`timeout`: datetime given; {SECONDS}"),
    (lambda admin, it: admin.with_options(cancel=threading.Event()), TypeError, "`cancel`: Event given; expected a Cancel"),
    (lambda admin, it: it.get(timeout=0), ValueError, f"`timeout`: 0 given; {SECONDS}"),
    (lambda admin, it: it.get(timeout="soon"), TypeError, f"`timeout`: str given; {SECONDS}"),
    (lambda admin, it: it.get(cancel=True), TypeError, "`cancel`: bool given; expected a Cancel"),
    (lambda admin, it: it.wait_until_healthy(timeout=[]), TypeError, f"`timeout`: list given; {SECONDS}"),
    (lambda admin, it: it.wait_until_healthy(max_poll_interval=0), ValueError, f"`max_poll_interval`: 0 given; {SECONDS}"),
    (lambda admin, it: it.wait_until_healthy(max_poll_interval="1"), TypeError, f"`max_poll_interval`: str given; {SECONDS}"),
    (lambda admin, it: it.wait_until_healthy(progress="yes"), TypeError, "`progress`: str given; expected a function, True, False or None"),
    (lambda admin, it: it.wait_until_healthy(progress=1), TypeError, "`progress`: int given; expected a function, True, False or None"),
    # Raw requests, tokens, CSV.
    (lambda admin, it: admin.request("BREW", "/clusters"), ValueError, "`method`: 'BREW' given; expected GET, POST, PUT, PATCH or DELETE"),
    (lambda admin, it: admin.request(None, "/clusters"), TypeError, "`method`: None given; expected a str"),
    (lambda admin, it: admin.request("GET", "clusters"), ValueError, "`path`: 'clusters' given; expected a path that begins with `/`"),
    (lambda admin, it: admin.request("GET", Path("/clusters")), TypeError, "`path`: PosixPath given; expected a str"),
    (lambda admin, it: admin.request("GET", "/clusters", idempotency="often"), ValueError, "`idempotency`: 'often' given; expected 'safe', 'idempotent', 'non_idempotent' or None"),
    (lambda admin, it: admin.request("GET", "/clusters", idempotency=5), ValueError, "`idempotency`: 5 given; expected 'safe', 'idempotent', 'non_idempotent' or None"),
    (lambda admin, it: admin.request("POST", "/clusters", NETWORK), TypeError, "`body`: IPv4Network in it; expected what the module json can encode"),
    (lambda admin, it: admin.request("POST", "/clusters", {"a": float("nan")}), ValueError, None),
    (lambda admin, it: admin.request("POST", "/clusters", {(1, 2): 3}), TypeError, "`body`: keys must be str, int, float, bool or None, not tuple; expected what the module json can encode"),
    (lambda admin, it: admin.token(""), ValueError, "`audience` is empty; expected an OAuth audience"),
    (lambda admin, it: admin.token(5), TypeError, "`audience`: int given; expected a str"),
    (lambda admin, it: admin.token_source(b"a"), TypeError, "`audience`: bytes given; expected a str"),
    (lambda admin, it: admin.token_source().invalidate(5), TypeError, "`token`: int given; expected a str"),
    (lambda admin, it: admin.activity.csv("events.csv"), TypeError, "`file`: str given; expected a file object with `write`"),
    (lambda admin, it: admin.activity.csv(Path("events.csv")), TypeError, "`file`: PosixPath given; expected a file object with `write`"),
    # Settings.
    (lambda admin, it: AdminClient(timeout=-1), ValueError, f"`timeout`: -1 given; {SECONDS}"),
    (lambda admin, it: AdminClient(timeout="soon"), TypeError, f"`timeout`: str given; {SECONDS}"),
    (lambda admin, it: AdminClient(client_id=5), TypeError, "`client_id`: int given; expected a str"),
    (lambda admin, it: AdminClient(client_id="a", client_secret=5), TypeError, "`client_secret`: int given; expected a str"),
    (lambda admin, it: AdminClient(client_id="a\0"), ValueError, "`client_id`: NUL character; expected a string without NUL characters"),
    (lambda admin, it: AdminClient(base_url=5), TypeError, "`base_url`: int given; expected a str"),
    (lambda admin, it: AdminClient(base_url="example.com"), ValueError, None),
    (lambda admin, it: AdminClient(token_cache=5), TypeError, "`token_cache`: int given; expected a str, a path or a TokenStore"),
    (lambda admin, it: AdminClient(token_cache={}), TypeError, "`token_cache`: dict given; expected a str, a path or a TokenStore"),
    (lambda admin, it: AdminClient(ca_file=b"a"), TypeError, "`ca_file`: bytes given; expected a str or a path"),
    (lambda admin, it: AdminClient(max_response_bytes=1.5), TypeError, "`max_response_bytes`: float given; expected an int"),
    (lambda admin, it: AdminClient(max_response_bytes=-1), ValueError, None),
    (lambda admin, it: AdminClient(token_request_format="xml"), ValueError, None),
    (lambda admin, it: AdminClient(proxy=5), TypeError, "`proxy`: int given; expected a str"),
    (lambda admin, it: AdminClient.from_env(timeout=0), ValueError, f"`timeout`: 0 given; {SECONDS}"),
    (lambda admin, it: AdminClient.from_env_file(None), TypeError, "`path`: None given; expected a path: a str or an os.PathLike"),
    (lambda admin, it: ClusterCredentials(5), TypeError, "`variables`: int given; expected a dict of names and values"),
    (lambda admin, it: ClusterCredentials([("a", "b")]), TypeError, "`variables`: list given; expected a dict of names and values"),
    (lambda admin, it: ClusterCredentials({"a": 5}), TypeError, "`variables['a']`: int given; expected a str"),
    (lambda admin, it: ClusterCredentials({5: "a"}), TypeError, "`variables`: int given; expected a str for each name"),
    (lambda admin, it: ClusterCredentials.from_env_file(""), ValueError, "`path` is empty; expected the path of a file"),
    (lambda admin, it: ClusterCredentials({"a": "b"}).write_env_file(5), TypeError, "`path`: int given; expected a path: a str or an os.PathLike"),
    (lambda admin, it: TokenSource("worker.env"), TypeError, "`credentials`: str given; expected a ClusterCredentials, or a dict of variables"),
    (lambda admin, it: TokenSource(None), TypeError, "`credentials`: None given; expected a ClusterCredentials, or a dict of variables"),
    (lambda admin, it: TokenSource(VARIABLES, timeout=-1), ValueError, f"`timeout`: -1 given; {SECONDS}"),
]

# Names of the JSON body, of Rust's types and of C's functions, and the position in the JSON.
WIRE = re.compile(
    r"line \d+ column|\bu32\b|\bi64\b|invalid type|\bcamunda_[a-z]+\b|clusterUuid|Option<|os error"
)


def json_names():
    """Return the names of JSON fields that are no names of attributes."""
    for name in camunda_admin.__all__:
        each = getattr(camunda_admin, name)
        if isinstance(each, type) and issubclass(each, Model):
            yield from (json for attribute, json in each._names.items() if json != attribute)


class Mistakes(SandboxTest):
    def test_message_has_the_argument_what_was_given_and_what_is_expected(self):
        self.assertGreaterEqual(len(MISTAKES), 100)
        admin = self.client()
        handle = admin.cluster(self.cluster())
        wire_names = set(json_names())
        handle.get()
        before = stats()["requests"]
        for number, (call, kind, message) in enumerate(MISTAKES):
            with self.subTest(number=number, message=message):
                with self.assertRaises(CamundaError) as raised:
                    call(admin, handle)
                error = raised.exception
                self.assertIsInstance(error, kind)
                self.assertIsInstance(error, (InvalidArgumentError, ConfigError))
                # A wrong value is no TypeError.
                self.assertEqual(isinstance(error, TypeError), kind is TypeError)
                if message is not None:
                    self.assertEqual(str(error), message)
                self.assertNotRegex(str(error), WIRE)
                self.assertEqual(wire_names & set(re.findall(r"\w+", str(error))), set())
                self.assertNotIn("\n", str(error))
                self.assertNotIn("hunter2", str(error))
                self.assertEqual(error.outcome, "not_sent")
        # One of the mistakes reads the cluster.
        self.assertLessEqual(stats()["requests"] - before, 1)

    def test_message_for_each_parameter_names_the_parameter(self):
        path = self.folder / "console.env"
        path.write_text("CAMUNDA_CONSOLE_ACCESS_TOKEN=a\n")
        cancel = Cancel()
        cancel.cancel()
        # No call sends a request.
        admin = AdminClient(access_token="a", base_url="http://127.0.0.1:9").with_options(cancel=cancel)
        it = admin.cluster("a")
        objects = [
            admin, admin.clusters, admin.members, admin.activity, it, it.clients, it.backups, it.secrets,
            it.monitoring, it.secure_connectivity, admin.token_source(),
        ]
        functions = [
            getattr(each, name)
            for each in objects
            for name in dir(each)
            if not name.startswith("_") and name != "close" and callable(getattr(each, name))
        ]
        self.assertGreater(len(functions), 60)
        functions += [AdminClient, ClusterCredentials, TokenSource, Token, ClusterCredentials({}).write_env_file]
        valid = {
            "path": path, "method": "GET", "credentials": {}, "permissions": ["Zeebe"], "roles": ["admin"],
            "allowed_principals": ["a"], "allowed_regions": ["a"], "backup_ids": ["a"],
            "entries": [("::1", "a")], "expires_at": datetime.now(timezone.utc),
        }
        wrong = [
            None, 5, -1.5, True, float("nan"), 10**400, b"a", object(), [5], [None], (), {"a": 5}, {5: "a"}, "",
            "\ud800", "a\0b", [("a",)], [("a", 5)], len,
        ]
        checked = 0
        for function in functions:
            parameters = {
                name: each.default is each.empty
                for name, each in inspect.signature(function).parameters.items()
                if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
            }
            if getattr(function, "__name__", "") in ("from_env", "from_env_file"):
                parameters.update(dict.fromkeys(inspect.signature(AdminClient).parameters, False))
            arguments = {each: valid.get(each, "a") for each, required in parameters.items() if required}
            if "method" in parameters:
                arguments["path"] = "/clusters"
            for name, value in itertools.product(parameters, wrong):
                with self.subTest(function=function, parameter=name, value=value):
                    try:
                        function(**{**arguments, name: value})
                    except (CancelledError, OutcomeUnknownError):
                        continue
                    except CamundaError as error:
                        self.assertIsInstance(error, ValueError)
                        message = str(error)
                    else:
                        continue
                    checked += 1
                    self.assertIn(f"`{name}", message)
                    self.assertLess(len(message), 300)
                    # Neither a name of JSON, nor a type of Rust or of JSON, nor a place in the JSON.
                    self.assertNotRegex(
                        re.sub(r"'[^']*'", "", message),
                        r"\b[a-z]+[A-Z]|\b(u32|u64|usize|Vec|Option|boolean|sequence|invalid type|line \d|column)\b",
                    )
        self.assertGreater(checked, 2500)

    def test_unknown_keyword_argument_is_a_type_error_with_the_similar_name(self):
        for call, message in [
            (lambda: AdminClient.from_env(timout=5), "AdminClient.from_env() got an unexpected keyword argument 'timout'; did you mean 'timeout'?"),
            (lambda: AdminClient.from_env_file("a", colour="red"), "AdminClient.from_env_file() got an unexpected keyword argument 'colour'"),
            (lambda: TokenSource(VARIABLES, client_id="a"), "TokenSource() got an unexpected keyword argument 'client_id'"),
            (lambda: TokenSource(VARIABLES, base_url="a"), "TokenSource() got an unexpected keyword argument 'base_url'"),
        ]:
            with self.assertRaises(TypeError) as raised:
                call()
            self.assertEqual(str(raised.exception), message)

    def test_unknown_attribute_cannot_be_set(self):
        admin = self.client()
        for each in [admin, admin.clusters, admin.cluster("a"), Cancel(), admin.token_source()]:
            with self.assertRaises(AttributeError):
                each.timeout = 5

    def test_objects_of_the_standard_library_are_accepted(self):
        identifier = uuid.uuid4()
        admin = self.client(timeout=timedelta(seconds=50))
        self.assertEqual(admin.cluster(identifier).id, str(identifier))
        handle = admin.cluster(self.cluster())
        address = ipaddress.ip_address("2001:db8::1")
        handle.set_ip_allowlist([(NETWORK, "office"), (address, "vpn")])
        self.assertEqual([e.ip for e in handle.get().allowlist], ["10.0.0.0/8", "2001:db8::1"])
        self.assertEqual([e.ip for e in handle.remove_from_ip_allowlist(address)], ["10.0.0.0/8"])
        handle.add_to_ip_allowlist(ipaddress.ip_network("192.0.2.0/24"), "lab")
        handle.get(timeout=timedelta(seconds=20))
        handle.wait_until_healthy(timeout=timedelta(minutes=1), max_poll_interval=timedelta(milliseconds=50))
        path = self.folder / "worker.env"
        handle.clients.create_env_file(path, "worker", permissions=iter(("Zeebe",)))
        TokenSource(ClusterCredentials.from_env_file(path), token_cache=self.folder)
        admin.activity.csv(io.StringIO())


class Files(SandboxTest):
    def test_file_error_has_the_attributes_of_an_os_error(self):
        import errno
        import pickle

        missing, existing = self.folder / "missing.env", self.folder / "existing.env"
        existing.write_text("mine")
        handle = self.client().cluster(self.cluster())
        for call, kind, number, path in [
            (lambda: ClusterCredentials.from_env_file(missing), FileNotFoundError, errno.ENOENT, missing),
            (lambda: AdminClient.from_env_file(str(missing)), FileNotFoundError, errno.ENOENT, missing),
            (lambda: ClusterCredentials(VARIABLES).write_env_file(existing), FileExistsError, errno.EEXIST, existing),
            (lambda: handle.clients.create_env_file(existing, "worker"), FileExistsError, errno.EEXIST, existing),
            (lambda: ClusterCredentials.from_env_file(self.folder), IsADirectoryError, errno.EISDIR, self.folder),
        ]:
            with self.subTest(path=path), self.assertRaises(FileError) as raised:
                call()
            error = raised.exception
            self.assertIsInstance(error, OSError)
            if kind is not IsADirectoryError:
                self.assertIsInstance(error, kind)
                self.assertEqual(error.errno, number)
                self.assertEqual(error.filename, str(path))
                self.assertTrue(error.strerror)
            self.assertIn(str(path), str(error))
            copied = pickle.loads(pickle.dumps(error))
            self.assertIs(type(copied), type(error))
            for name in ["errno", "filename", "strerror", "outcome", "message"]:
                self.assertEqual(getattr(copied, name), getattr(error, name))
        self.assertEqual(existing.read_text(), "mine")

    def test_error_names_the_file_that_has_it(self):
        import pickle

        path = self.folder / "console.env"
        for text, message in [
            ("export 'x\n", f"{path}: line 1 is not NAME=value"),
            (
                "CAMUNDA_CONSOLE_CLIENT_ID=a\nCAMUNDA_CONSOLE_CLIENT_SECRET=b\nCAMUNDA_CONSOLE_BASE_URL=x\n",
                f"{path}: the variable CAMUNDA_CONSOLE_BASE_URL: `base_url`: URL without scheme or host; "
                "expected a URL such as https://api.cloud.camunda.io",
            ),
        ]:
            path.write_text(text)
            with self.assertRaises(ConfigError) as raised:
                AdminClient.from_env_file(path)
            self.assertEqual(str(raised.exception), message)
            self.assertEqual(str(pickle.loads(pickle.dumps(raised.exception))), message)

    def test_error_without_credentials_names_the_constructor_that_reads_the_environment(self):
        with self.assertRaises(ConfigError) as raised:
            AdminClient().clusters.list()
        self.assertRegex(str(raised.exception), r"no credentials: .*; `from_env` reads them from CAMUNDA_")


if __name__ == "__main__":
    unittest.main()
