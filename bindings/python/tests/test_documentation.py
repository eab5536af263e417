"""Tests of the public names, their docstrings, the imports between the modules, and the documentation."""

import ast
import importlib.util
import inspect
import os
import re
import unittest
from pathlib import Path

import camunda_admin
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


class Pages(SandboxTest):
    """Runs the code of each page: its blocks in their order in one process, in a directory of their own."""

    def test_code_of_pages_runs(self):
        pages = [ROOT / "bindings/python/README.md", *sorted((ROOT / "docs/python").glob("*.md"))]
        self.assertGreater(len(pages), 9)
        for page in pages:
            with self.subTest(page=page.name):
                self.run_page(page)

    def run_page(self, page):
        blocks = []
        for reason, code in BLOCK.findall(page.read_text(encoding="utf-8")):
            missing = reason.partition("requires ")[2]
            # Blocks that require a module run where it is installed: with CI=true, `tests/python.rs` installs it.
            if not reason or (missing.isidentifier() and self.is_installed(missing)):
                blocks.append(code)
            else:
                compile(code, str(page), "exec")
        if not blocks:
            return
        folder = self.folder / page.stem
        folder.mkdir()
        program = "\n".join(blocks)
        prelude = f"import os; os.chdir({str(folder)!r})\n"
        self.cluster(name=page.stem, status={"ready": "Healthy"})
        ran = self.run_python(prelude + program)
        self.assertEqual(ran.returncode, 0, f"{page}:\n{ran.stdout}{ran.stderr}")

    def is_installed(self, module):
        if importlib.util.find_spec(module) is not None:
            return True
        self.assertNotEqual(os.environ.get("CI"), "true", f"{module} is required with CI=true, but is missing")
        print(f"skipped: {module} is missing")
        return False


if __name__ == "__main__":
    unittest.main()
