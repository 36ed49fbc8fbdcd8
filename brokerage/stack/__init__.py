"""The embedded PostgreSQL and Valkey, and the supervisor behind `manage.py up`. No Django in here."""
