"""`python -m smartex_launcher`, the same as `smartex-up`."""

import sys

from .main import main

sys.exit(main())
