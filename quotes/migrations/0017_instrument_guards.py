"""Terms that move prices or money are changed by a decided proposal alone, and by nobody's own UPDATE.

The application's role may not name these columns (from `changed_by_owner` its grants are derived, brokerage/grants.py).
A row of quotes_instrumentchange that becomes applied writes them, through a function of the tables' owner, which looks
once more at what it would change, and at the band where one person does it alone (docs/decisions/0046).
"""

from django.db import migrations

# term: (down %, up %, at most, in the term's unit) that one person may go from what two agreed to. Zeros: two persons.
BANDS = {
    "price_decimals": (0, 0, 0),
    "quantity_decimals": (0, 0, 0),
    "price_age_limit_seconds": (50, 50, 5),
    "jump_limit_percent": (50, 0, 50),
    "spread_bps": (50, 50, 5),
    "volatility_limit_percent": (50, 0, 50),
    "quote_life_seconds": (50, 0, 60),
    "leverage_cap": (100, 0, 1000),
    "fee_bps": (20, 20, 5),
    "swap_long_bps": (20, 20, 1),
    "swap_short_bps": (20, 20, 1),
    "swap_triple_weekday": (0, 0, 0),
    "simulator_price": (0, 0, 0),
    "simulator_step_bps": (50, 50, 1),
}

ROWS = """
INSERT INTO quotes_termband (term, down_percent, up_percent, most) VALUES {rows};
CREATE TRIGGER changed_by_owner BEFORE UPDATE OF term, down_percent, up_percent, most ON quotes_termband
    FOR EACH ROW EXECUTE FUNCTION refuse_all_but_owner();
CREATE TRIGGER made_by_owner BEFORE INSERT ON quotes_termband FOR EACH ROW EXECUTE FUNCTION refuse_all_but_owner();
CREATE TRIGGER never_deleted BEFORE DELETE ON quotes_termband FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON quotes_termband FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

INSTRUMENT = """
CREATE TRIGGER changed_by_owner BEFORE UPDATE OF {columns} ON quotes_instrument FOR EACH ROW
    WHEN ({changed}) EXECUTE FUNCTION refuse_all_but_owner();
"""

# An instrument begins with what its maker says; nobody says at the beginning what was agreed before.
BEGINS = """
CREATE FUNCTION nothing_agreed_before() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.agreed := '{}';
    RETURN NEW;
END $$;
CREATE TRIGGER nothing_agreed_before BEFORE INSERT ON quotes_instrument
    FOR EACH ROW EXECUTE FUNCTION nothing_agreed_before();
"""

CHANGES = """
CREATE FUNCTION propose_instrument_change() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.state <> 'proposed' THEN
        RAISE EXCEPTION 'a change of an instrument begins as a proposal'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER proposed_first BEFORE INSERT ON quotes_instrumentchange
    FOR EACH ROW EXECUTE FUNCTION propose_instrument_change();
CREATE TRIGGER never_changed AFTER UPDATE OF {columns} ON quotes_instrumentchange FOR EACH ROW
    WHEN ({changed}) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER decided_for_good BEFORE UPDATE ON quotes_instrumentchange FOR EACH ROW
    WHEN (OLD.state <> 'proposed') EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON quotes_instrumentchange
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON quotes_instrumentchange
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

FIXED = (
    "id",
    "instrument_id",
    "old",
    "new",
    "stated",
    "fires",
    "needs_checker",
    "reason",
    "once",
    "made_by_id",
    "made_at",
)

# %1$I is the schema. What one person moved is measured from `agreed`, so that many small steps are one long one.
FUNCTIONS = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION terms_beyond_band(of_symbol text, wanted jsonb) RETURNS text[] LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(w.key ORDER BY w.key), '{{}}')
    FROM %1$I.quotes_instrument i
    CROSS JOIN LATERAL jsonb_each_text(wanted) w
    CROSS JOIN LATERAL (SELECT coalesce(i.agreed ->> w.key, to_jsonb(i) ->> w.key)::numeric AS value) agreed
    LEFT JOIN %1$I.quotes_termband b ON b.term = w.key
    WHERE i.symbol = of_symbol AND NOT coalesce(w.value::numeric BETWEEN
        agreed.value - least(abs(agreed.value) * b.down_percent / 100, b.most)
        AND agreed.value + least(abs(agreed.value) * b.up_percent / 100, b.most), false)
$$
    $create$, pg_catalog.current_schema());

    EXECUTE pg_catalog.format($create$
CREATE FUNCTION carry_out_instrument_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stood %1$I.quotes_instrument;
    names text[] := ARRAY(SELECT jsonb_object_keys(NEW.new) ORDER BY 1);
BEGIN
    SELECT * INTO STRICT stood FROM %1$I.quotes_instrument WHERE symbol = NEW.instrument_id FOR NO KEY UPDATE;
    IF names <> ARRAY(SELECT jsonb_object_keys(NEW.old) ORDER BY 1)
       OR EXISTS (SELECT FROM unnest(names) n WHERE NOT EXISTS (SELECT FROM %1$I.quotes_termband b WHERE b.term = n)) THEN
        RAISE EXCEPTION 'a change names terms that it may change, with what they were and what they become'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF jsonb_populate_record(stood, NEW.old) IS DISTINCT FROM stood THEN
        RAISE EXCEPTION 'the instrument is not any more as it was when this change was proposed'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NOT NEW.needs_checker AND %1$I.terms_beyond_band(NEW.instrument_id, NEW.new) <> '{{}}' THEN
        RAISE EXCEPTION 'this change of an instrument needs a second person'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    UPDATE %1$I.quotes_instrument i
    SET {set},
        agreed = CASE WHEN NEW.needs_checker THEN i.agreed - names ELSE NEW.old || i.agreed END
    FROM jsonb_populate_record(stood, NEW.new) n
    WHERE i.symbol = NEW.instrument_id;
    RETURN NULL;
END $$
    $create$, pg_catalog.current_schema());
END $do$;

CREATE TRIGGER carried_out AFTER UPDATE OF state ON quotes_instrumentchange FOR EACH ROW
    WHEN (OLD.state = 'proposed' AND NEW.state = 'applied') EXECUTE FUNCTION carry_out_instrument_change();
"""


def differs(columns):
    return " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in columns)


def sql(text, **parts):
    return migrations.RunSQL(text.format(**parts) if parts else text, migrations.RunSQL.noop)


class Migration(migrations.Migration):
    dependencies = [("quotes", "0016_instrument_changes"), ("accounts", "0013_role_guards")]

    operations = [
        sql(ROWS, rows=", ".join(f"('{term}', {down}, {up}, {most})" for term, (down, up, most) in BANDS.items())),
        sql(INSTRUMENT, columns=", ".join([*BANDS, "agreed"]), changed=differs([*BANDS, "agreed"])),
        sql(BEGINS),
        sql(CHANGES, columns=", ".join(FIXED), changed=differs(FIXED)),
        sql(FUNCTIONS, set=", ".join(f"{term} = n.{term}" for term in BANDS)),
    ]
