"""The workflows: a worklist, a performed procedure step, storage commitment, UPS."""

from pathlib import Path
from typing import Any

from pydicom import Dataset

from pynetdicom import AE, evt
from pynetdicom.workflows import commitment, mpps, ups, worklist
from pynetdicom.workflows.mpps_provider import Provider as StepProvider
from pynetdicom.workflows.providing import handlers

ae = AE("MODALITY")
