"""Scenario driver for Python.

Reads calls as lines of JSON, makes them through camunda_admin, and writes each result or error as a line
of JSON.
"""

import inspect
import json
import re
import sys
from typing import Any, Dict

from camunda_admin import AdminClient, CamundaError, OutcomeUnknownError

#: Python parameter names of body fields, if they are not the last part of the field name.
ALIASES = {"schedule": "cron", "ipallowlist": "entries"}


def snake(name: str) -> str:
    """Return the Python name of a JSON field."""
    return re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), name)


def keywords(method: Any, body: Dict[str, Any]) -> Dict[str, Any]:
    """Return a body as keyword arguments of a method."""
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
    """Return a result as a value that `json` can serialize."""
    if hasattr(result, "to_dict"):
        return result.to_dict()
    if isinstance(result, list):
        return [plain(item) for item in result]
    return result


def call(admin: AdminClient, request: Dict[str, Any]) -> Any:
    """Make a call and return its result."""
    name = request["call"]
    arguments = request["arguments"]
    waits = "wait_until" in name
    if "timeout" in request and not waits:
        admin = admin.with_options(timeout=request["timeout"])
    if name == "request":
        return admin.request(
            *arguments, body=request.get("body"), idempotency=request.get("idempotency")
        )
    path = name.split(".")
    target: Any = admin
    if path[0] == "cluster":
        target = admin.cluster(arguments[0])
        arguments = arguments[1:]
        path = path[1:]
    for step in path:
        target = getattr(target, step)
    if waits:
        names = {"timeout": "timeout", "interval": "max_poll_interval"}
        limits = {name: request[key] for key, name in names.items() if key in request}
        return plain(target(*arguments, **limits))
    result = target(*arguments, **keywords(target, request.get("body", {})))
    if name == "clusters.create":
        return {"clusterId": result}
    if name == "activity.csv":
        return "".join(result)
    return plain(result)


def error_fields(error: CamundaError) -> Dict[str, Any]:
    """Return all attributes of an error."""
    return {
        "status": error.abi_status,
        "stage": error.stage.title(),
        "outcome": error.outcome.title().replace("_", ""),
        "message": str(error),
        "http_status": error.http_status,
        "server_message": error.server_message,
        "body_hex": None if error.body is None else error.body.hex(),
        "operation": error.operation,
        "attempts": error.attempts,
        "retry_after": error.retry_after,
        "may_have_been_applied": isinstance(error, OutcomeUnknownError),
    }


def invalid_call_fields(error: Exception) -> Dict[str, Any]:
    """Return the error of a call that is not possible in Python."""
    return {
        "kind": "InvalidArgument",
        "stage": "Config",
        "outcome": "NotSent",
        "message": f"{type(error).__name__}: {error}",
    }


def main() -> None:
    """Reply to each line of standard input until it ends."""
    admin = AdminClient()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "connect" in request:
                settings = dict(request["connect"])
                settings["timeout"] = float(settings["timeout"])
                admin.close()
                admin = AdminClient(**settings)
                reply: Dict[str, Any] = {"result": None}
            else:
                reply = {"result": call(admin, request)}
        except CamundaError as error:
            reply = {"error": error_fields(error)}
        except (AttributeError, KeyError, TypeError) as error:
            reply = {"error": invalid_call_fields(error)}
        print(json.dumps(reply, separators=(",", ":")), flush=True)


if __name__ == "__main__":
    main()
