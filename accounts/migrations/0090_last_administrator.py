"""One Administrator who can log in always stays."""

from django.db import migrations

# Who goes waits for others who go at the same time: one row is locked by all of them, then the others are counted.
CREATE = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION keep_an_administrator() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM %1$I.auth_permission WHERE codename = 'manage_staff' FOR UPDATE;
    IF NOT EXISTS (
        SELECT FROM %1$I.accounts_user u WHERE u.is_active AND u.is_staff AND u.is_superuser AND u.id <> OLD.id
    ) THEN
        RAISE EXCEPTION 'the last administrator stays'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'last_administrator';
    END IF;
    RETURN NULL;
END $$
    $create$, pg_catalog.current_schema());
END $do$;
CREATE TRIGGER last_administrator_stays AFTER UPDATE OF is_active, is_staff, is_superuser ON accounts_user FOR EACH ROW
    WHEN (OLD.is_active AND OLD.is_staff AND OLD.is_superuser
          AND NOT (NEW.is_active AND NEW.is_staff AND NEW.is_superuser))
    EXECUTE FUNCTION keep_an_administrator();
CREATE TRIGGER last_administrator_not_deleted AFTER DELETE ON accounts_user FOR EACH ROW
    WHEN (OLD.is_active AND OLD.is_staff AND OLD.is_superuser) EXECUTE FUNCTION keep_an_administrator();
"""

DROP = """
DROP TRIGGER last_administrator_not_deleted ON accounts_user;
DROP TRIGGER last_administrator_stays ON accounts_user;
DROP FUNCTION keep_an_administrator();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0089_roles")]
    operations = [migrations.RunSQL(CREATE, DROP)]
