"""The law of owners' votes as pure formulas, one module a subject, each with its clause. Integers only.

What differs from place to place is data (`server.domain.rulepacks`); what is the same everywhere is here.
"""
