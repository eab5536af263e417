"""The driver for Python: reads a call as a line of JSON, makes it through camunda_admin, answers a
line of JSON."""

import inspect
import json
import re
import sys
from typing import Any, Dict

from camunda_admin import AdminClient, CamundaError, OutcomeUnknownError

#: Fields of a body that Python takes under another name than their last word.
ALIASES = {"schedule": "cron", "ipallowlist": "entries"}


def snake(name: str) -> str:
    """A field of the service's as a name in Python."""
    return re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), name)


def keywords(method: Any, body: Dict[str, Any]) -> Dict[str, Any]:
    """A body as keyword arguments of a method."""
    parameters = inspect.signature(method).parameters
    found = {}
    for field, value in body.items():
        name = snake(field)
        if name not in parameters:
            last = name.rsplit("_", 1)[-1]
            name = ALIASES.get(last, last)
        if name == "entries":
            value = [(entry["ip"], entry["description"]) for entry in value]
        found[name] = value
    return found


def plain(result: Any) -> Any:
    """A result as what `json` can write."""
    if hasattr(result, "to_dict"):
        return result.to_dict()
    if isinstance(result, list):
        return [plain(item) for item in result]
    return result


def call(admin: AdminClient, request: Dict[str, Any]) -> Any:
    """Makes a call and gives what it answers."""
    name = request["call"]
    arguments = request["arguments"]
    waits = "wait_until" in name
    if "timeout" in request and not waits:
        admin = admin.with_options(timeout=request["timeout"])
    if name == "request":
        return admin.request(
            *arguments, body=request.get("body"), idempotency=request.get("class")
        )
    path = name.split(".")
    place: Any = admin
    if path[0] == "cluster":
        place = admin.cluster(arguments[0])
        arguments = arguments[1:]
        path = path[1:]
    for step in path:
        place = getattr(place, step)
    if waits:
        limits = {key: request[key] for key in ("timeout", "interval") if key in request}
        return plain(place(*arguments, **limits))
    result = place(*arguments, **keywords(place, request.get("body", {})))
    if name == "clusters.create":
        return {"clusterId": result}
    if name == "activity.csv":
        return "".join(result)
    return plain(result)


def told(error: CamundaError) -> Dict[str, Any]:
    """Everything that an error tells."""
    return {
        "status": error.status,
        "stage": error.stage.title(),
        "outcome": error.outcome.title().replace(" ", ""),
        "message": str(error),
        "http_status": error.http_status,
        "server_message": error.server_message,
        "body_hex": None if error.body is None else error.body.hex(),
        "operation": error.operation,
        "attempts": error.attempts,
        "retry_after": error.retry_after,
        "may_have_been_applied": isinstance(error, OutcomeUnknownError),
    }


def refused(error: Exception) -> Dict[str, Any]:
    """The call cannot be written in Python: the language refuses it."""
    return {
        "kind": "InvalidArgument",
        "stage": "Config",
        "outcome": "NotSent",
        "message": f"{type(error).__name__}: {error}",
    }


def main() -> None:
    """Answers line by line until there is no more."""
    admin = AdminClient()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "connect" in request:
                settings = dict(request["connect"])
                settings["timeout"] = float(settings["timeout"])
                admin.close()
                admin = AdminClient(**settings)
                answer: Dict[str, Any] = {"result": None}
            else:
                answer = {"result": call(admin, request)}
        except CamundaError as error:
            answer = {"error": told(error)}
        except (AttributeError, KeyError, TypeError) as error:
            answer = {"error": refused(error)}
        print(json.dumps(answer, separators=(",", ":")), flush=True)


if __name__ == "__main__":
    main()
