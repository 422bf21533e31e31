"""`python -m tinygrad_course` is the command `tinygrad-course`."""

import sys

from .cli import main

sys.exit(main())
