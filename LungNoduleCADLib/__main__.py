"""``python -m LungNoduleCADLib``: the command line."""

import sys

from LungNoduleCADLib.cli import main

sys.exit(main())
