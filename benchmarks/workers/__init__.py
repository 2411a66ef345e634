"""Scripts that are run as processes by ours and by 3.0.4 alike; they use the public API only."""

from __future__ import annotations
