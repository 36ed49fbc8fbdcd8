"""Telling partners of events without being asked: the outbox is read for each subscription, and sent."""
