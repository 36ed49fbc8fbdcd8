"""A module a source, under the name that FEED_SOURCES calls it by; its `made` makes it."""
