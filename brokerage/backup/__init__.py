"""Backups of PostgreSQL and their way back: what manage.py backup, archive_wal and restore do."""
