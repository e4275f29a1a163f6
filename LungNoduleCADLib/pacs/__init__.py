"""To and from a PACS, by DICOM's network protocol or DICOMweb: only where a person gave the address of one."""
