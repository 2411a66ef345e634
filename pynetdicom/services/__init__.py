"""The DICOM services (PS3.4): SOP Classes, service classes, statuses, engines."""
