"""What a result is worth: overlap, FROC, discrimination, calibration, with patient-level bootstrap intervals."""
