"""Worker process of the multi-process test.

Prints "ready", waits for a line on standard input, lists the clusters on eight threads concurrently,
and prints for each "ok" or the error. Then prints a line for each token store that failed.
"""

import sys
import threading

from camunda_admin import AdminClient, CamundaError

THREADS = 8
output = threading.Lock()


def list_clusters(admin: AdminClient) -> None:
    try:
        admin.clusters.list()
        line = "ok"
    except CamundaError as error:
        line = str(error)
    with output:
        print(line)


def main() -> None:
    with AdminClient.from_env() as admin:
        print("ready", flush=True)
        sys.stdin.readline()
        threads = [threading.Thread(target=list_clusters, args=(admin,)) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for store in admin.diagnostics()["stores"]:
            if store["failures"] != 0:
                print("a store failed")


main()
