"""Python reads this when PYTHONPATH names this folder, so kernels and commands are held back too."""

import loopback_only

loopback_only.install()
