"""`python -m tpukernel`: the command `tpukernel`."""

import sys

from tpukernel.cli import main

sys.exit(main())
