"""Lets the tests of this folder import `viz_nets`, the small nets they share."""

import os
import sys

sys.path.append(os.path.dirname(__file__))
