"""How the tests run: several processes at once, each with threads that must not spin while another computes."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when Numba's threads start
