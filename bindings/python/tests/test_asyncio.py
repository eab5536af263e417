"""Tests of calls from asyncio and from thread pools: they end with their task, or with Ctrl-C."""

import asyncio
import copy
import os
import signal
import subprocess
import sys
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from camunda_admin import AdminClient, Cancel, CancelledError, NotFoundError, OutcomeUnknownError, TokenSource
from camunda_admin.aio import to_thread
from support import BASE_URL, OAUTH_URL, SandboxTest, send

GET = "GET /clusters/{clusterUuid}"
CREATE = "POST /clusters/{clusterUuid}/clients"

#: Seconds within which a cancelled call must have ended on a busy machine.
LIMIT = 30


class Asyncio(SandboxTest):
    def test_to_thread_returns_result_and_raises_exception(self):
        admin = self.client()
        cluster_id = self.cluster(name="a")

        async def main():
            names = await asyncio.gather(
                to_thread(admin.clusters.list), to_thread(admin.cluster(cluster_id).get, timeout=30)
            )
            self.assertEqual(names[1].name, "a")
            with self.assertRaises(NotFoundError):
                await to_thread(admin.cluster("missing").get)
            with ThreadPoolExecutor(1, thread_name_prefix="own") as pool:
                names = []
                handle = admin.cluster(self.cluster(status={"ready": "Healthy"}))
                await to_thread(
                    handle.wait_until_healthy,
                    max_poll_interval=0.01,
                    progress=lambda _: names.append(threading.current_thread().name),
                    executor=pool,
                )
            self.assertTrue(names[0].startswith("own"))

        asyncio.run(main())

    def test_stop_iteration_of_a_callback_ends_the_task(self):
        handle = self.client().cluster(self.cluster())
        wait = to_thread(handle.wait_until_healthy, progress=lambda _: next(iter(())))
        with self.assertRaisesRegex(RuntimeError, "StopIteration"):
            asyncio.run(asyncio.wait_for(wait, LIMIT))

    def test_wait_for_cancels_the_wait(self):
        handle = self.client().cluster(self.cluster(status={"ready": "Creating"}))
        started = time.monotonic()

        async def main():
            await asyncio.wait_for(to_thread(handle.wait_until_healthy, timeout=600), timeout=0.3)

        with self.assertRaises(asyncio.TimeoutError):
            asyncio.run(main())
        # `asyncio.run` waits for the threads of its executor.
        self.assertLess(time.monotonic() - started, LIMIT)

    def test_cancelled_task_has_the_outcome_of_the_call(self):
        admin = self.client()
        admin.token()
        handle = admin.cluster(self.cluster())
        self.fault(CREATE, stall=True, when="after")

        async def main():
            task = asyncio.ensure_future(to_thread(handle.clients.create, "twin"))
            while not handle.clients.list():
                await asyncio.sleep(0.01)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError) as raised:
                await task
            cause = raised.exception.__cause__
            # A task of Python 3.9 and 3.10 raises a new exception.
            if sys.version_info >= (3, 11):
                self.assertIsInstance(cause, OutcomeUnknownError)
                self.assertIsInstance(cause, CancelledError)

        asyncio.run(main())

    def test_cancelled_task_has_the_result_of_a_completed_call(self):
        handle = self.client().cluster(self.cluster())
        causes = []

        async def create(pool):
            try:
                await to_thread(handle.clients.create, "worker", executor=pool)
            except asyncio.CancelledError as cancelled:
                causes.append(cancelled.__cause__)
                raise

        async def main():
            with ThreadPoolExecutor(1) as pool:
                task = asyncio.ensure_future(create(pool))
                await asyncio.sleep(0)
                # The event loop is blocked until the call has completed.
                pool.submit(int).result()
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task

        asyncio.run(main())
        (cause,) = causes
        self.assertIs(type(cause), CancelledError)
        self.assertEqual(cause.outcome, "completed")
        (listed,) = handle.clients.list()
        self.assertEqual(cause.result.client_id, listed.client_id)
        self.assertGreater(len(cause.result.client_secret), 10)

    def test_task_that_is_cancelled_twice_has_the_outcome_of_the_call(self):
        admin = self.client()
        admin.token()
        handle = admin.cluster(self.cluster())
        self.fault(CREATE, stall=True, when="after")
        causes = []

        async def create():
            try:
                await to_thread(handle.clients.create, "twin")
            except asyncio.CancelledError as cancelled:
                causes.append(cancelled.__cause__)
                raise

        async def main():
            task = asyncio.ensure_future(create())
            while not handle.clients.list():
                await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        self.assertIsInstance(causes[0], OutcomeUnknownError)

    def test_call_that_waits_for_a_thread_is_not_made(self):
        admin = self.client()
        release, made = threading.Event(), []

        async def main():
            with ThreadPoolExecutor(1) as pool:
                pool.submit(release.wait)
                task = asyncio.ensure_future(
                    to_thread(lambda cancel: made.append(cancel), executor=pool)
                )
                await asyncio.sleep(0)
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task
                release.set()

        asyncio.run(main())
        self.assertEqual(made, [])

    def interrupted(self, program):
        """Run a program that prints `waiting`, send SIGINT then, and return it when it has ended."""
        running = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-c", program, self.cluster(status={"ready": "Creating"})],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )
        self.addCleanup(running.kill)
        self.assertEqual(running.stdout.readline(), "waiting\n")
        running.send_signal(signal.SIGINT)
        stdout, stderr = running.communicate(timeout=LIMIT)
        self.assertIn("KeyboardInterrupt", stderr)
        return stdout

    def test_ctrl_c_ends_asyncio_run(self):
        self.interrupted("""
import asyncio, sys
from camunda_admin import AdminClient
from camunda_admin.aio import to_thread

async def main():
    report = lambda _: print("waiting", flush=True)
    await to_thread(admin.cluster(sys.argv[1]).wait_until_healthy, timeout=600, progress=report)

admin = AdminClient.from_env()
asyncio.run(main())
""")

    def test_ctrl_c_ends_thread_pool_with_cancel(self):
        self.interrupted("""
import sys
from concurrent.futures import ThreadPoolExecutor
from camunda_admin import AdminClient, Cancel

admin = AdminClient.from_env()
with ThreadPoolExecutor() as pool, Cancel() as cancel:
    report = lambda _: print("waiting", flush=True)
    wait = admin.cluster(sys.argv[1]).wait_until_healthy
    pool.submit(wait, timeout=600, progress=report, cancel=cancel).result()
""")

    def test_cancel_cancels_when_an_exception_leaves_its_block(self):
        with Cancel() as cancel:
            pass
        self.assertFalse(cancel.is_cancelled)
        with self.assertRaises(KeyError), Cancel() as cancel:
            raise KeyError
        self.assertTrue(cancel.is_cancelled)


class Options(SandboxTest):
    def test_call_has_options_of_its_own(self):
        admin = self.client()
        admin.token()
        handle = admin.cluster(self.cluster())
        cancel = Cancel()
        cancel.cancel()
        for call in [
            lambda **options: handle.get(**options),
            lambda **options: handle.clients.create("never", **options),
            lambda **options: handle.wait_until_healthy(**options),
            lambda **options: handle.add_to_ip_allowlist("10.0.0.0/8", **options),
            lambda **options: handle.clients.create_env_file(self.folder / "a.env", "never", **options),
            lambda **options: admin.request("GET", "/clusters", **options),
            lambda **options: admin.activity.csv(**options),
            lambda **options: admin.ip_ranges(**options),
        ]:
            with self.assertRaises(CancelledError):
                call(cancel=cancel)
        handle.get()
        self.fault(GET, stall=True)
        started = time.monotonic()
        with self.assertRaises(TimeoutError):
            handle.get(timeout=0.3)
        self.assertLess(time.monotonic() - started, LIMIT)

    def test_options_keep_the_attributes_of_a_subclass(self):
        class Named(AdminClient):
            def __init__(self, name, **settings):
                super().__init__(**settings)
                self.name = name

        class Labelled(TokenSource):
            label = "a"

        named = Named("a", **self.settings())
        self.addCleanup(named.close)
        source = Labelled({"ZEEBE_CLIENT_ID": "a", "ZEEBE_CLIENT_SECRET": "b", "CAMUNDA_OAUTH_URL": OAUTH_URL})
        source.label = "b"
        for other in (named.with_options(timeout=1), copy.copy(named)):
            self.assertEqual((type(other), other.name), (Named, "a"))
        other = source.with_options(timeout=1)
        self.assertEqual((type(other), other.label), (Labelled, "b"))

    def test_options_keep_the_slots_of_a_subclass(self):
        class Named(AdminClient):
            __slots__ = ("name", "__code", "unset")

            def __init__(self, name, **settings):
                super().__init__(**settings)
                self.name = name
                self.__code = 5

            @property
            def code(self):
                return self.__code

        class Located(Named):
            __slots__ = "place"

        class Labelled(TokenSource):
            __slots__ = ("label",)

        located = Located("a", **self.settings())
        self.addCleanup(located.close)
        located.place = "b"
        for other in (located.with_options(timeout=1), copy.copy(located)):
            self.assertEqual((type(other), other.name, other.code, other.place), (Located, "a", 5, "b"))
            self.assertFalse(hasattr(other, "unset"))
            other.clusters.list()
        labelled = Labelled({"ZEEBE_CLIENT_ID": "a", "ZEEBE_CLIENT_SECRET": "b", "CAMUNDA_OAUTH_URL": OAUTH_URL})
        labelled.label = "c"
        other = labelled.with_options(timeout=1)
        self.assertEqual((type(other), other.label), (Labelled, "c"))

    def test_methods_of_a_subclass_have_all_attributes_while_it_is_copied(self):
        class Single(AdminClient):
            created = None

            def __new__(cls, *arguments, **settings):
                if cls.created is None:
                    cls.created = super().__new__(cls)
                return cls.created

            def __init__(self, name, **settings):
                super().__init__(**settings)
                self.name = name

            def __setattr__(self, name, value):
                super().__setattr__(name, value)
                if hasattr(self, "name"):
                    self._connection.handle()

        single = Single("a", **self.settings())
        self.addCleanup(single.close)
        other = single.with_options(timeout=1)
        self.assertIsNot(other, single)
        self.assertEqual(other.name, "a")
        other.close()
        single.clusters.list()

    def test_none_removes_an_option(self):
        admin = self.client()
        cancel = Cancel()
        cancel.cancel()
        limited = admin.with_options(timeout=1e-6, cancel=cancel)
        with self.assertRaises(CancelledError):
            limited.clusters.list()
        with self.assertRaises(TimeoutError):
            limited.with_options(cancel=None).clusters.list()
        with self.assertRaises(CancelledError):
            limited.with_options(timeout=None).clusters.list()
        limited.with_options(timeout=None, cancel=None).clusters.list()

    def test_closing_a_client_with_options_closes_no_other(self):
        import copy

        admin = self.client()
        for make in [lambda: admin.with_options(timeout=30), lambda: copy.copy(admin)]:
            with make() as other:
                other.clusters.list()
            with self.assertRaises(ValueError):
                other.clusters.list()
            self.assertIn("closed", repr(other))
            admin.clusters.list()
        source = admin.token_source()
        with copy.copy(source) as other:
            self.assertEqual(other.access_token(), source.access_token())
        source.access_token()

    def test_repr_has_the_server_and_the_client_id(self):
        settings = self.settings()
        admin = self.client()
        url, client_id = settings["base_url"], settings["client_id"]
        self.assertEqual(repr(admin), f"<AdminClient {url} as {client_id}>")
        self.assertEqual(repr(admin.with_options(timeout=1)), repr(admin))
        path = self.folder / "console.env"
        path.write_text(
            f"CAMUNDA_CONSOLE_CLIENT_ID=someone\nCAMUNDA_CONSOLE_CLIENT_SECRET=hunter2\nCAMUNDA_CONSOLE_BASE_URL={url}\n"
        )
        from camunda_admin import AdminClient, TokenSource

        self.assertEqual(repr(AdminClient.from_env_file(path)), f"<AdminClient {url} as someone>")
        self.assertEqual(repr(AdminClient.from_env(client_id="other")), f"<AdminClient {url} as other>")
        self.assertEqual(repr(AdminClient()), "<AdminClient https://api.cloud.camunda.io without credentials>")
        self.assertEqual(repr(admin.token_source("zeebe")), f"<TokenSource {url} as {client_id}, audience zeebe>")
        variables = {
            "ZEEBE_CLIENT_ID": "worker",
            "ZEEBE_CLIENT_SECRET": "hunter2",
            "ZEEBE_AUTHORIZATION_SERVER_URL": "http://127.0.0.1:9/",
            "ZEEBE_TOKEN_AUDIENCE": "zeebe",
        }
        self.assertEqual(repr(TokenSource(variables)), "<TokenSource as worker>")

    def test_settings_replace_those_of_the_environment_and_of_the_file(self):
        from camunda_admin import AdminClient

        settings = self.settings()
        path = self.folder / "console.env"
        path.write_text(
            "CAMUNDA_CONSOLE_CLIENT_ID=someone\nCAMUNDA_CONSOLE_CLIENT_SECRET=hunter2\n"
            "CAMUNDA_CONSOLE_BASE_URL=http://127.0.0.1:9\n"
        )
        with AdminClient.from_env_file(path, **settings) as admin:
            admin.clusters.list()
        with AdminClient.from_env(max_response_bytes=1) as admin:
            with self.assertRaisesRegex(Exception, "exceeds"):
                admin.clusters.list()

    def test_from_env_and_from_env_file_call_init_of_a_subclass(self):
        from camunda_admin import AdminClient, ConfigError

        class Regional(AdminClient):
            def __new__(cls, region="eu", **settings):
                created = super().__new__(cls)
                created.created_for = region
                return created

            def __init__(self, region="eu", **settings):
                super().__init__(user_agent=f"regional-{region}", **settings)
                self.region = region

            def here(self):
                return [cluster for cluster in self.clusters.list() if cluster.region.name == self.region]

        path = self.folder / "console.env"
        names = ("CAMUNDA_CONSOLE_CLIENT_ID", "CAMUNDA_CONSOLE_CLIENT_SECRET", "CAMUNDA_CONSOLE_BASE_URL", "CAMUNDA_OAUTH_URL")
        path.write_text("".join(f"{name}={os.environ[name]}\n" for name in names))
        for make in (Regional.from_env, lambda **settings: Regional.from_env_file(path, **settings)):
            with make() as admin:
                self.assertEqual((admin.region, admin.here()), ("eu", []))
            with make(region="us", max_response_bytes=1) as admin:
                self.assertEqual((admin.region, admin.created_for, repr(admin.region)), ("us", "us", "'us'"))
                with self.assertRaisesRegex(Exception, "exceeds"):
                    admin.clusters.list()
                last = send("GET", "/_sandbox/requests")["requests"][-1]
                self.assertEqual(last["headers"]["user-agent"], "regional-us")
            # The variables are read for one client only.
            admin.__init__(access_token="a")
            self.assertEqual(repr(admin), "<AdminClient https://api.cloud.camunda.io with an access token>")
            with self.assertRaisesRegex(TypeError, "unexpected keyword argument 'colour'"):
                make(colour="red")
        path.write_text("CAMUNDA_CONSOLE_CLIENT_ID=a\n")
        with self.assertRaisesRegex(ConfigError, "console.env: the variable CAMUNDA_CONSOLE_CLIENT_SECRET"):
            Regional.from_env_file(path)

    def test_from_env_calls_init_of_a_subclass_without_settings(self):
        from camunda_admin import AdminClient

        class Fixed(AdminClient):
            def __init__(self):
                super().__init__(client_id="fixed", client_secret="hunter2")

        self.assertRegex(repr(Fixed.from_env()), f"<AdminClient {BASE_URL} as fixed>")
        with self.assertRaises(TypeError):
            Fixed.from_env(timeout=3)


if __name__ == "__main__":
    unittest.main()
