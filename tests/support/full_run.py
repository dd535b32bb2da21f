"""Whether a run is the full one, which takes longer over what the ordinary one only samples."""

import os
from typing import Final

IS_FULL: Final = os.environ.get("CORRIDOR_FULL_TESTS") == "yes"
