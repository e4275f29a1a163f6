"""Runs the checks of a topic one by one, each in a fresh scene."""

from types import FunctionType


def runEach(test, module: dict) -> None:
    """Every public function of a module (``globals()``) but ``everySentence``; each takes the test case."""
    checks = [
        function
        for name, function in module.items()
        if isinstance(function, FunctionType) and function.__module__ == module["__name__"]
        if not name.startswith("_") and name != "everySentence"
    ]
    test.assertTrue(checks)
    for check in checks:
        with test.subTest(check.__name__.replace("_", " ")):
            test.setUp()
            try:
                check(test)
            finally:
                test.doCleanups()
