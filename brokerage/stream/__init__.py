"""The event stream: the outbox and the prices, told to whoever is connected, by server-sent events and by WebSocket.

One asyncio process (`manage.py run_stream`). It reads PostgreSQL and Redis for all connections together and holds
nothing that a client couldn't ask for again, so any number of them can run, and one can die.
"""
