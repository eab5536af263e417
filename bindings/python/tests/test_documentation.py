"""Tests of the public names, their docstrings, the imports between the modules, and the documentation."""

import ast
import importlib.util
import inspect
import os
import re
import subprocess
import typing
import unittest
from pathlib import Path

import camunda_admin
from camunda_admin.aio import to_thread
from support import SandboxTest

SOURCES = Path(camunda_admin.__file__).parent


def imports(path):
    """Return the names of the package's modules that a module imports, except for type hints."""
    found = set()
    nodes = [ast.parse(path.read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            found.update({node.module} if node.module else {each.name for each in node.names})
        nodes.extend(ast.iter_child_nodes(node))
    return found


class Documentation(unittest.TestCase):
    def test_public_names_have_docstrings(self):
        for name in camunda_admin.__all__:
            public = getattr(camunda_admin, name)
            if not inspect.isclass(public):
                continue
            self.assertTrue(public.__doc__, name)
            for member, value in vars(public).items():
                if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
                    self.assertTrue(value.__doc__, f"{name}.{member}")

    def test_public_names_exist_and_are_unique(self):
        self.assertEqual(len(set(camunda_admin.__all__)), len(camunda_admin.__all__))
        for name in camunda_admin.__all__:
            self.assertTrue(hasattr(camunda_admin, name), name)


    def test_type_hints_of_public_names_resolve(self):
        public = [getattr(camunda_admin, name) for name in camunda_admin.__all__]
        classes = {base for each in public if inspect.isclass(each) for base in each.__mro__}
        functions = {"doctor": camunda_admin.doctor, "to_thread": to_thread}
        for each in classes:
            if not each.__module__.startswith("camunda_admin"):
                continue
            typing.get_type_hints(each)
            for name, member in vars(each).items():
                function = getattr(member, "fget", getattr(member, "__func__", member))
                if inspect.isfunction(function) and (name == "__init__" or not name.startswith("_")):
                    functions[f"{each.__name__}.{name}"] = function
        self.assertIn("ClusterHandleMethods.add_to_ip_allowlist", functions)
        self.assertIn("Cluster.created", functions)
        for name, function in functions.items():
            with self.subTest(function=name):
                self.assertIn("return", typing.get_type_hints(function))
        self.assertEqual(
            typing.get_type_hints(camunda_admin.ClusterClients.create)["return"], camunda_admin.CreatedClusterClient
        )
        # A reference forward is resolved with the names of the module that names the alias.
        for each in public:
            self.assertNotIn("ForwardRef", repr(each))
        self.assertEqual(typing.get_type_hints(camunda_admin.Cluster.name.fget), {"return": str})

    def test_settings_types_have_all_settings(self):
        from camunda_admin import _settings

        names = set(typing.get_type_hints(camunda_admin.Settings, vars(camunda_admin._types)))
        self.assertEqual(names, set(_settings.KEYS))
        parameters = inspect.signature(camunda_admin.AdminClient).parameters
        self.assertEqual(names, set(parameters))
        names = set(typing.get_type_hints(camunda_admin.TokenSettings, vars(camunda_admin._types)))
        self.assertEqual(names, set(_settings.TOKEN_KEYS))


class Imports(unittest.TestCase):
    def test_imports_between_modules_have_no_cycle(self):
        remaining = {path.stem: imports(path) for path in SOURCES.glob("*.py")}
        self.assertIn("_operations", remaining)
        self.assertIn("_models", remaining["_progress"])
        while remaining:
            loaded = {name for name, needed in remaining.items() if not needed & set(remaining)}
            self.assertTrue(loaded, f"import cycle among {sorted(remaining)}")
            for name in loaded:
                del remaining[name]


ROOT = Path(__file__).resolve().parents[3]
BLOCK = re.compile(r"(?:<!-- not run: ([^\n]*) -->\n)?```python\n(.*?)```\n", re.DOTALL)


def make_certificate(certificate, key):
    """Write a self-signed certificate and its key."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key)]
    subprocess.run([*command, "-out", str(certificate), "-subj", "/CN=client"], check=True, capture_output=True)


class Pages(SandboxTest):
    """Runs the code of the package's README and of the cookbook.

    Blocks that require other packages run if these are installed. `tests/documentation.rs` runs the code
    of the other pages.
    """

    def test_code_of_readme_runs(self):
        page = ROOT / "bindings/python/README.md"
        blocks = [code for _, code in BLOCK.findall(page.read_text(encoding="utf-8"))]
        self.assertGreater(len(blocks), 2)
        self.run_blocks(page, blocks)

    def test_code_of_cookbook_runs(self):
        required = set()
        for page in sorted((ROOT / "docs/python").glob("*.md")):
            blocks = []
            for reason, code in BLOCK.findall(page.read_text(encoding="utf-8")):
                module = reason.partition("requires ")[2]
                if not reason:
                    blocks.append(code)
                elif module.isidentifier():
                    required.add(module)
                    if self.is_installed(module):
                        blocks.append(code)
            if blocks:
                with self.subTest(page=page.stem):
                    self.run_blocks(page, blocks)
        self.assertEqual(required, {"gevent", "pandas", "pydantic", "rich", "tqdm"})

    def run_blocks(self, page, blocks):
        """Run the blocks in their order in one process, in a directory of their own."""
        folder = self.folder / page.stem
        folder.mkdir()
        if page.stem == "network":
            make_certificate(folder / "client.pem", folder / "client-key.pem")
        self.cluster(name=page.stem, status={"ready": "Healthy"})
        # A file, which the processes of `multiprocessing` import.
        program = folder / "program.py"
        program.write_text("\n".join(blocks), encoding="utf-8")
        run = "import os, runpy, sys; os.chdir(sys.argv[1]); runpy.run_path('program.py', run_name='__main__')"
        ran = self.run_python(run, str(folder))
        self.assertEqual(ran.returncode, 0, f"{page}:\n{ran.stdout}{ran.stderr}")

    def is_installed(self, module):
        if importlib.util.find_spec(module) is not None:
            return True
        self.assertNotEqual(os.environ.get("CI"), "true", f"{module} is required with CI=true, but is missing")
        print(f"skipped: {module} is missing")
        return False


if __name__ == "__main__":
    unittest.main()
