"""What exists only where SANDBOX is on: the paths under /api/sandbox, and the faults that a client forces on itself.

Nothing outside imports it but the settings' middleware and `brokerage/urls.py`, and both only with SANDBOX=1.
"""
