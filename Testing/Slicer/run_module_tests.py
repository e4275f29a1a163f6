"""Runs the tests of LungNoduleCADTest in Slicer, or in its stand-in: give it to the launcher as ``--python-script``.

Arguments: names of tests (default: all). Leaves with status 0 only if tests ran, all of them, and none failed.
"""

import sys
import unittest

import slicer

MODULE = "LungNoduleCAD"


def suiteOf(case, names):
    """Every ``test_*`` of the test case, or those named."""
    available = unittest.defaultTestLoader.getTestCaseNames(case)
    return unittest.TestSuite(case(name) for name in available if not names or name in names)


def main(names):
    slicer.util.selectModule(MODULE)
    suite = suiteOf(getattr(sys.modules[MODULE], f"{MODULE}Test"), names)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    passed = result.wasSuccessful() and result.testsRun > 0 and not result.skipped
    print(f"tests run: {result.testsRun}, skipped: {len(result.skipped)}, passed: {passed}")
    slicer.util.exit(slicer.util.EXIT_SUCCESS if passed else slicer.util.EXIT_FAILURE)


main(sys.argv[1:])
