"""`python -m skerry` is the `skerry` command."""

import sys

from skerry.cli.main import main

sys.exit(main())
