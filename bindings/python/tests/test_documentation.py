"""Tests of the public names, their docstrings, and the imports between the modules."""

import ast
import inspect
import unittest
from pathlib import Path

import camunda_admin

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


if __name__ == "__main__":
    unittest.main()
