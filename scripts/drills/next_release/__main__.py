"""`python -m drills.next_release CONFIG`: run one node of the later release, as `python -m server` runs one of this."""

import os
import sys
from pathlib import Path

from drills.next_release import NEXT_RULEBOOK
from server.__main__ import configure_logging, run_to_end
from server.config import load_config

configure_logging()
sys.exit(run_to_end(load_config(Path(sys.argv[1]), os.environ), NEXT_RULEBOOK))
