"""PostgreSQL's large objects: bytes beside all tables, which any role may make unless a superuser takes that away."""

from __future__ import annotations

# Of pg_proc p. As a condition without LIKE, so that it means the same with and without parameters.
OF_LARGE_OBJECTS = (
    "p.pronamespace = 'pg_catalog'::regnamespace"
    " AND (starts_with(p.proname, 'lo_') OR p.proname IN ('loread', 'lowrite'))"
)
TAKE_LARGE_OBJECTS = f"""
DO $$
DECLARE
    made text;
BEGIN
    FOR made IN
        SELECT p.oid::regprocedure::text FROM pg_proc p
        WHERE {OF_LARGE_OBJECTS} AND has_function_privilege('public', p.oid, 'EXECUTE')
    LOOP
        EXECUTE 'REVOKE EXECUTE ON FUNCTION ' || made || ' FROM PUBLIC';
    END LOOP;
END $$
"""  # noqa: S608 - our own condition
