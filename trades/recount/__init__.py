"""The recount of the rules: whatever follows from sealed facts is worked out again, by other means than the engine's.

One file per subject, one set-based statement per check. The formulas are SQL of their own and import nothing from what
they judge: an engine that books a wrong figure everywhere, consistently, is found by them. Where the facts themselves
were tampered with, sealed history says so (docs/decisions/0047).
"""
