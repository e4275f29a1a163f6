"""Many scans: each in a process of its own, one table and one overview of all."""
