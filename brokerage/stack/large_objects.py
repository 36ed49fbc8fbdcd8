"""PostgreSQL's large objects: bytes beside all tables, which any role may make unless a superuser takes that away."""

from __future__ import annotations

# Of pg_proc p. As a condition without LIKE, so that it means the same with and without parameters.
OF_LARGE_OBJECTS = (
    "p.pronamespace = 'pg_catalog'::regnamespace"
    " AND (starts_with(p.proname, 'lo_') OR p.proname IN ('loread', 'lowrite'))"
)


def revoke_large_objects(owner: str) -> str:
    """The statement by which a superuser takes them from everybody but the owner of the tables.

    The owner keeps them because a backup holds these grants as well: to whoever has no right to a function, restoring
    them is an error, and to whoever has one a warning.
    """
    return f"""
DO $$
DECLARE
    made text;
BEGIN
    FOR made IN
        SELECT p.oid::regprocedure::text FROM pg_proc p
        WHERE {OF_LARGE_OBJECTS} AND has_function_privilege('public', p.oid, 'EXECUTE')
    LOOP
        EXECUTE 'REVOKE EXECUTE ON FUNCTION ' || made || ' FROM PUBLIC';
        EXECUTE 'GRANT EXECUTE ON FUNCTION ' || made || ' TO {owner}';
    END LOOP;
END $$
"""  # noqa: S608 - our own condition and role
