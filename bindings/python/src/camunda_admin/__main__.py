"""`python -m camunda_admin doctor` and `python -m camunda_admin token`: the program `camunda-admin`."""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Dict, List, Optional

from . import AdminClient, CamundaError, __version__, doctor

if TYPE_CHECKING:
    from ._types import DoctorReport

__all__ = ["main"]


def main(arguments: Optional[List[str]] = None) -> int:
    """Run the program and return its exit status: 0 on success, 1 if a check or a token request failed."""
    options = _parser().parse_args(arguments)
    settings: Dict[str, Any] = {} if options.timeout is None else {"timeout": options.timeout}
    try:
        if options.command == "doctor":
            report = doctor(env_file=options.env_file, **settings)
            print(json.dumps(report, indent=2) if options.json else _text(report), flush=True)
            return 0 if report["ok"] else 1
        if options.env_file is None:
            admin = AdminClient.from_env(**settings)
        else:
            admin = AdminClient.from_env_file(options.env_file, **settings)
        with admin:
            print(admin.token(options.audience), flush=True)
        return 0
    except CamundaError as error:
        print(f"camunda_admin: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        # What is buffered would be written again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # Without a message if the reader has closed the pipe.
        if not isinstance(error, BrokenPipeError):
            print(f"camunda_admin: cannot write to stdout: {error.strerror}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    about = "credential file of the Console with the settings"
    common.add_argument("--env-file", type=_not_empty, metavar="FILE", help=about)
    common.add_argument("--timeout", type=_seconds, metavar="SECONDS", help="timeout of each call; default: 60")
    parser = argparse.ArgumentParser(
        prog="python -m camunda_admin",
        description="Helper for the Camunda 8 Administration API. Settings are read from the environment "
        "variables of Camunda's SDKs, such as CAMUNDA_CONSOLE_CLIENT_ID and CAMUNDA_CONSOLE_CLIENT_SECRET.",
        epilog="Exit status: 0 on success, 1 if a check or the token request failed, 2 for invalid arguments.",
    )
    parser.add_argument("--version", action="version", version=f"camunda_admin {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    about = "check settings, network, certificates, clock, token, token store and permissions"
    checks = commands.add_parser("doctor", parents=[common], help=about, description=about)
    checks.add_argument("--json", action="store_true", help="print the report as JSON")
    about = "print an access token from the shared cache, for example for curl"
    token = commands.add_parser("token", parents=[common], help=about, description=about)
    about = "audience of the token; default: that of the Administration API"
    token.add_argument("--audience", type=_not_empty, help=about)
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < 1.8e19:
        raise argparse.ArgumentTypeError(
            f"{text!r} given; expected a number of seconds above zero and below 1.8e19"
        )
    return seconds


def _not_empty(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("the value is empty")
    return text


def _text(report: DoctorReport) -> str:
    lines = [f"camunda_admin {report['version']}", "", "settings"]
    for setting in report["settings"]:
        value = setting["value"] or ("(hidden)" if setting["is_set"] else "(not set)")
        lines.append(f"  {setting['key']:<22}{value}  [{setting['source']}]")
    lines += ["", "checks"]
    for check in report["checks"]:
        status = "FAILED" if check["status"] == "failed" else check["status"]
        target = f"{check['target']}: " if check["target"] else ""
        duration = check["duration_ms"]
        took = "" if duration is None else f" ({duration:.0f} ms)"
        lines.append(f"  {status:<9}{check['name']:<20}{target}{check['message']}{took}")
        if check["advice"]:
            lines.append(f"  {'':<29}{check['advice']}")
    if report["permissions"]:
        lines += ["", "permissions to read"]
    for permission in report["permissions"]:
        detail = f": {permission['detail']}" if permission["detail"] else ""
        access = permission["access"].replace("_", " ")
        lines.append(f"  {permission['resource']:<22}{access}{detail}")
    statuses = [check["status"] for check in report["checks"]]
    warnings = statuses.count("warning")
    plural = "" if warnings == 1 else "s"
    lines += ["", f"{statuses.count('failed')} failed, {warnings} warning{plural}"]
    return "\n".join(lines)


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A report may have characters that the encoding of the locale lacks, for example in a path.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        # Ends by the signal, as the program `camunda-admin` does, and without a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
        raise
