"""Everything that users can reach says what it is."""

import inspect
import unittest

import camunda_admin


class Documentation(unittest.TestCase):
    def test_everything_has_a_docstring(self):
        for name in camunda_admin.__all__:
            thing = getattr(camunda_admin, name)
            if not inspect.isclass(thing):
                continue
            self.assertTrue(thing.__doc__, name)
            for member, value in vars(thing).items():
                if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
                    self.assertTrue(value.__doc__, f"{name}.{member}")

    def test_names_are_there(self):
        self.assertEqual(len(set(camunda_admin.__all__)), len(camunda_admin.__all__))
        for name in camunda_admin.__all__:
            self.assertTrue(hasattr(camunda_admin, name), name)


if __name__ == "__main__":
    unittest.main()
