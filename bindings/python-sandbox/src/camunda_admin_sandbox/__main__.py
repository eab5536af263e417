"""`python -m camunda_admin_sandbox [OPTIONS] [-- COMMAND ...]`: runs the program with these arguments."""

import os
import subprocess
import sys

from ._sandbox import SandboxError, find_program


def main() -> int:
    try:
        program = find_program()
    except SandboxError as error:
        print(error, file=sys.stderr)
        return 1
    command = [program, *sys.argv[1:]]
    if sys.platform != "win32":
        # The program receives signals itself, and its exit status is that of this process.
        os.execv(program, command)
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
