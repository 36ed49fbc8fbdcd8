-- The tables of accounts as migrations 0001 to 0075 left them, with their rows; read by 0001_squashed_0075_events.py,
-- which puts the schema that it works in for "public".

SET LOCAL check_function_bodies = off;  -- functions come before the tables that they name

CREATE FUNCTION public.end_sessions() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF NEW.generation > OLD.generation THEN
        RETURN NEW;
    END IF;
    NEW.generation := OLD.generation;
    IF NEW.is_active IS DISTINCT FROM OLD.is_active
       OR (to_jsonb(NEW) ->> 'password' IS DISTINCT FROM to_jsonb(OLD) ->> 'password'
           AND coalesce(current_setting('brokerage.same_password', true), '') <> 'yes') THEN
        NEW.generation := OLD.generation + 1;
    END IF;
    RETURN NEW;
END $$;

CREATE TABLE public.accounts_eventshift (
    id smallint NOT NULL,
    shift bigint NOT NULL,
    CONSTRAINT event_shift_not_negative CHECK ((shift >= 0)),
    CONSTRAINT one_event_shift CHECK ((id = 1))
);

CREATE FUNCTION public.event_horizon() RETURNS bigint
    LANGUAGE sql STABLE
    RETURN (((pg_snapshot_xmin(pg_current_snapshot()))::text)::bigint + (SELECT accounts_eventshift.shift FROM public.accounts_eventshift));

CREATE FUNCTION public.event_transaction() RETURNS bigint
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    RETURN (((pg_current_xact_id())::text)::bigint + (SELECT accounts_eventshift.shift FROM public.accounts_eventshift));

CREATE FUNCTION public.keep_versions(of_table text, key text, without text, hashed text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    AS $_$
DECLARE
    digests text := '';
    name text;
BEGIN
    FOREACH name IN ARRAY string_to_array(hashed, ',') LOOP
        digests := digests
            || format(' || jsonb_build_object(%L::text, encode(sha256(convert_to(r.%I, ''UTF8'')), ''hex''))', name, name);
    END LOOP;
    EXECUTE format('INSERT INTO public.accounts_rowversion (id, table_name, row_key, number, said, by_role, at)'
        ' SELECT public.new_uuid7(), %1$L, r.%2$I::text, 1, (to_jsonb(r) - %3$L::text[])%4$s, session_user,'
        ' clock_timestamp() FROM public.%1$I r ORDER BY r.%2$I',
        of_table, key, string_to_array(without, ','), digests);
    EXECUTE format('CREATE TRIGGER versioned AFTER INSERT OR UPDATE OR DELETE ON public.%1$I FOR EACH ROW'
        ' EXECUTE FUNCTION public.note_row_version(%2$L, %3$L, %4$L)', of_table, key, without, hashed);
END $_$;

CREATE FUNCTION public.must_commit_by(moment timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    left_ms bigint := pg_catalog.floor(extract(epoch FROM moment - pg_catalog.clock_timestamp()) * 1000)::bigint;
BEGIN
    IF left_ms < 1 THEN
        RAISE EXCEPTION 'the transaction took too long: it had to be committed by %', moment
            USING ERRCODE = 'query_canceled';
    END IF;
    IF pg_catalog.current_setting('server_version_num')::int >= 170000 THEN
        PERFORM pg_catalog.set_config('transaction_timeout', '0', true);
        PERFORM pg_catalog.set_config('transaction_timeout', left_ms::text, true);
    ELSE
        PERFORM pg_catalog.set_config('idle_in_transaction_session_timeout', left_ms::text, true);
        PERFORM pg_catalog.set_config('brokerage.commit_by', moment::text, true);
    END IF;
END $$;

DO $do$
BEGIN
    IF current_setting('server_version_num')::int >= 180000 THEN
        CREATE FUNCTION public.new_uuid7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE
            RETURN pg_catalog.uuidv7();
    ELSE
        CREATE FUNCTION public.new_uuid7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE
            RETURN encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
                PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid;
    END IF;
END $do$;

CREATE TABLE public.accounts_eventhorizon (
    at timestamp with time zone NOT NULL,
    transaction bigint NOT NULL
);

CREATE FUNCTION public.note_event_horizon() RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    BEGIN ATOMIC
 DELETE FROM public.accounts_eventhorizon
   WHERE (accounts_eventhorizon.at < (statement_timestamp() - '40 days'::interval));
 INSERT INTO public.accounts_eventhorizon (at, transaction)  SELECT clock_timestamp() AS clock_timestamp,
             public.event_horizon() AS event_horizon;
END;

CREATE FUNCTION public.note_row_version() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    AS $$
DECLARE
    before jsonb;
    after jsonb;
    name text;
    rowkey text;
    whole jsonb := CASE WHEN TG_OP = 'DELETE' THEN NULL ELSE to_jsonb(NEW) END;
    gone jsonb := CASE WHEN TG_OP = 'INSERT' THEN NULL ELSE to_jsonb(OLD) END;
BEGIN
    after := whole - string_to_array(TG_ARGV[1], ',');
    before := gone - string_to_array(TG_ARGV[1], ',');
    IF before = after THEN
        RETURN NULL;
    END IF;
    IF after IS NOT NULL THEN
        FOREACH name IN ARRAY string_to_array(TG_ARGV[2], ',') LOOP
            after := after || jsonb_build_object(name, encode(sha256(convert_to(whole ->> name, 'UTF8')), 'hex'));
        END LOOP;
        IF TG_NARGS > 3 THEN
            FOREACH name IN ARRAY string_to_array(TG_ARGV[3], ',') LOOP
                after := (after - name) || jsonb_build_object(name || '_sha256',
                    encode(sha256(convert_to((whole ->> 'salt') || coalesce(whole ->> name, ''), 'UTF8')), 'hex'));
            END LOOP;
            after := after - 'salt';
        END IF;
    END IF;
    rowkey := coalesce(whole, gone) ->> TG_ARGV[0];
    INSERT INTO public.accounts_rowversion (id, table_name, row_key, number, said, by_role, at)
    SELECT public.new_uuid7(), TG_TABLE_NAME, rowkey, coalesce(max(v.number), 0) + 1, after, session_user,
           clock_timestamp()
    FROM public.accounts_rowversion v WHERE v.table_name = TG_TABLE_NAME AND v.row_key = rowkey;
    RETURN NULL;
END $$;

CREATE FUNCTION public.refuse_all_but_owner() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF NOT pg_catalog.pg_has_role(
        current_user, (SELECT c.relowner FROM pg_catalog.pg_class c WHERE c.oid = TG_RELID), 'USAGE'
    ) THEN
        RAISE EXCEPTION '% of % is refused: only the owner of the table does that', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION public.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: its rows are never changed or removed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE FUNCTION public.refuse_changed_rows() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RAISE EXCEPTION 'a row that was locked, or was ours alone, had been changed by somebody else'
        USING ERRCODE = 'BR001';
END $$;

CREATE FUNCTION public.refuse_early_removal() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: an answer is kept for a day', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE FUNCTION public.refuse_late_commit() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    moment text := pg_catalog.current_setting('brokerage.commit_by', true);
BEGIN
    IF moment <> '' AND pg_catalog.clock_timestamp() > moment::timestamptz THEN
        RAISE EXCEPTION 'the transaction took too long: it had to be committed by %', moment
            USING ERRCODE = 'query_canceled';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION public.refuse_move() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RAISE EXCEPTION 'a row of % may not move from % to %', TG_TABLE_NAME,
        to_jsonb(OLD) ->> TG_ARGV[0], to_jsonb(NEW) ->> TG_ARGV[0]
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE FUNCTION public.tell_account() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    here CONSTANT bigint := public.event_transaction();
BEGIN
    INSERT INTO public.accounts_event (transaction, kind, object_id, customer_id, detail, at)
    SELECT here, CASE TG_OP WHEN 'INSERT' THEN 'account.created' ELSE 'account.updated' END, NEW.id, NEW.customer_id, NEW.asset_id, NEW.updated_at;
    RETURN NULL;
END $$;

CREATE FUNCTION public.tell_customer() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    here CONSTANT bigint := public.event_transaction();
BEGIN
    INSERT INTO public.accounts_event (transaction, kind, object_id, customer_id, detail, at)
    SELECT here, 'customer.' || NEW.state, NEW.id, NEW.id, '', NEW.updated_at;
    RETURN NULL;
END $$;

CREATE FUNCTION public.tell_customer_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    here CONSTANT bigint := public.event_transaction();
BEGIN
    INSERT INTO public.accounts_event (transaction, kind, object_id, customer_id, detail, at)
    SELECT here, 'customer.updated', NEW.id, NEW.id, '', NEW.updated_at;
    RETURN NULL;
END $$;

CREATE FUNCTION public.transactions_since(moment timestamp with time zone) RETURNS integer
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    RETURN (SELECT age((((GREATEST((h.transaction - s.shift), (3)::bigint))::text)::xid8)::xid) AS age FROM public.accounts_eventhorizon h, public.accounts_eventshift s WHERE (h.at <= transactions_since.moment) ORDER BY h.at DESC LIMIT 1);

CREATE TABLE public.accounts_answeredrequest (
    id uuid NOT NULL,
    user_id uuid,
    client_id uuid,
    customer_id uuid,
    key character varying(128) NOT NULL,
    request_sha256 character varying(64) NOT NULL,
    path character varying(255) NOT NULL,
    request_id character varying(128),
    status smallint NOT NULL,
    body text NOT NULL,
    at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    CONSTRAINT accounts_answeredrequest_status_check CHECK ((status >= 0)),
    CONSTRAINT answered_for_good CHECK (((status >= 200) AND (status < 500))),
    CONSTRAINT answered_somebody CHECK (((user_id IS NOT NULL) OR (client_id IS NOT NULL))),
    CONSTRAINT answered_under_a_key CHECK ((NOT ((key)::text = ''::text)))
);

CREATE TABLE public.accounts_apiclient (
    id uuid NOT NULL,
    name character varying(100) NOT NULL,
    client_id character varying(64) NOT NULL,
    secret_sha256 character varying(64) NOT NULL,
    scopes character varying(64)[] NOT NULL,
    is_active boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    generation integer DEFAULT 0 NOT NULL,
    CONSTRAINT accounts_apiclient_generation_check CHECK ((generation >= 0))
);

CREATE TABLE public.accounts_asset (
    code character varying(10) NOT NULL,
    type character varying(10) NOT NULL,
    name character varying(60) NOT NULL,
    symbol character varying(10) NOT NULL,
    decimals smallint NOT NULL,
    adjustment_limit numeric(38,0) NOT NULL,
    CONSTRAINT accounts_asset_decimals_check CHECK ((decimals >= 0)),
    CONSTRAINT asset_at_most_18_decimals CHECK ((decimals <= 18)),
    CONSTRAINT asset_type_known CHECK (((type)::text = ANY ((ARRAY['fiat'::character varying, 'crypto'::character varying, 'metal'::character varying])::text[])))
);

CREATE TABLE public.accounts_break (
    id uuid NOT NULL,
    kind character varying(20) NOT NULL,
    amount numeric(38,0) NOT NULL,
    subject uuid,
    note character varying(200) NOT NULL,
    state character varying(8) NOT NULL,
    opened_at timestamp with time zone NOT NULL,
    resolved_at timestamp with time zone,
    resolution character varying(200) NOT NULL,
    asset_id character varying(10) NOT NULL,
    owner_id uuid,
    CONSTRAINT break_amount_not_zero CHECK ((NOT (amount = (0)::numeric))),
    CONSTRAINT break_kind_known CHECK (((kind)::text = ANY ((ARRAY['leg_difference'::character varying, 'reconciliation'::character varying])::text[]))),
    CONSTRAINT break_resolved_with_a_reason CHECK (((((resolution)::text = ''::text) AND (resolved_at IS NULL) AND ((state)::text = 'open'::text)) OR ((resolved_at IS NOT NULL) AND ((state)::text = 'resolved'::text) AND (NOT ((resolution)::text = ''::text))))),
    CONSTRAINT break_state_known CHECK (((state)::text = ANY ((ARRAY['open'::character varying, 'resolved'::character varying])::text[])))
);

CREATE TABLE public.accounts_customer (
    id uuid NOT NULL,
    type character varying(16) NOT NULL,
    state character varying(16) NOT NULL,
    name character varying(200) NOT NULL,
    labels character varying(64)[],
    partition smallint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    user_id uuid,
    expected_behaviour character varying(20) NOT NULL,
    external_id character varying(64),
    salt uuid DEFAULT gen_random_uuid() NOT NULL,
    erased_at timestamp with time zone,
    CONSTRAINT customer_erased_for_good CHECK (((erased_at IS NULL) OR ((labels IS NULL) AND ((name)::text = ''::text) AND ((state)::text = 'rejected'::text)))),
    CONSTRAINT customer_expected_behaviour_known CHECK (((expected_behaviour)::text = ANY ((ARRAY[''::character varying, 'passed_immediately'::character varying, 'failed_immediately'::character varying])::text[]))),
    CONSTRAINT customer_labels_few CHECK (((labels IS NULL) OR ((
CASE
    WHEN (labels IS NULL) THEN NULL::integer
    ELSE COALESCE(array_length(labels, 1), 0)
END <= 8) AND (array_position(labels, ''::character varying) IS NULL)))),
    CONSTRAINT customer_state_known CHECK (((state)::text = ANY ((ARRAY['storing'::character varying, 'unverified'::character varying, 'verified'::character varying, 'rejected'::character varying, 'frozen'::character varying])::text[]))),
    CONSTRAINT customer_type_known CHECK (((type)::text = ANY ((ARRAY['individual'::character varying, 'business'::character varying])::text[])))
);

CREATE TABLE public.accounts_customerdetails (
    id uuid NOT NULL,
    first_name character varying(66) NOT NULL,
    middle_name character varying(66) NOT NULL,
    last_name character varying(66) NOT NULL,
    alias character varying(200) NOT NULL,
    date_of_birth date,
    phone_number character varying(32) NOT NULL,
    email_address character varying(254) NOT NULL,
    website character varying(200) NOT NULL,
    street character varying(200) NOT NULL,
    street2 character varying(200) NOT NULL,
    city character varying(100) NOT NULL,
    subdivision character varying(3) NOT NULL,
    postal_code character varying(16) NOT NULL,
    country_code character varying(2) NOT NULL,
    customer_id uuid NOT NULL
);

CREATE TABLE public.accounts_endedsession (
    id uuid NOT NULL,
    ended_at timestamp with time zone NOT NULL,
    user_id uuid NOT NULL,
    request_id character varying(128)
);

CREATE TABLE public.accounts_event (
    transaction bigint NOT NULL,
    number bigint NOT NULL,
    kind character varying(40) NOT NULL,
    object_id uuid NOT NULL,
    detail character varying(64) DEFAULT ''::character varying NOT NULL,
    at timestamp with time zone NOT NULL,
    customer_id uuid
);

ALTER TABLE public.accounts_event ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.accounts_event_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.accounts_funding (
    id uuid NOT NULL,
    transfer_id uuid NOT NULL,
    reference character varying(128) NOT NULL,
    reason character varying(500) NOT NULL,
    made_by_id uuid,
    made_by_client_id uuid,
    made_from character varying(40) NOT NULL,
    at timestamp with time zone NOT NULL,
    request_id character varying(128),
    CONSTRAINT funding_has_a_reference CHECK ((NOT ((reference)::text = ''::text))),
    CONSTRAINT funding_says_who_or_from_where CHECK ((((made_by_id IS NOT NULL) AND (made_by_client_id IS NULL) AND ((made_from)::text = ''::text)) OR ((made_by_id IS NULL) AND (made_by_client_id IS NOT NULL) AND ((made_from)::text = ''::text)) OR ((made_by_id IS NULL) AND (made_by_client_id IS NULL) AND (NOT ((made_from)::text = ''::text)))))
);

CREATE TABLE public.accounts_identificationnumber (
    id uuid NOT NULL,
    type character varying(32) NOT NULL,
    issuing_country_code character varying(2) NOT NULL,
    issuing_subdivision character varying(3) NOT NULL,
    masked character varying(8) NOT NULL,
    details_id uuid NOT NULL,
    CONSTRAINT identification_number_masked CHECK (((masked)::text ~ '^\*{4}[^*]{0,4}$'::text)),
    CONSTRAINT identification_number_type_known CHECK (((type)::text = ANY ((ARRAY['drivers_license'::character varying, 'passport'::character varying, 'passport_card'::character varying, 'visa'::character varying, 'residence_card'::character varying, 'social_security_number'::character varying, 'tax_identification_number'::character varying, 'identification_card'::character varying, 'work_permit'::character varying, 'indigenous_document_number'::character varying, 'national_identification_number'::character varying, 'employer_identification_number'::character varying, 'business_registration_number'::character varying])::text[])))
);

CREATE TABLE public.accounts_knownaddress (
    id bigint NOT NULL,
    address character varying(43) NOT NULL,
    last_at timestamp with time zone NOT NULL,
    user_id uuid NOT NULL
);

ALTER TABLE public.accounts_knownaddress ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.accounts_knownaddress_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.accounts_ledgeraccount (
    id uuid NOT NULL,
    bucket smallint,
    type character varying(12) NOT NULL,
    name character varying(128) NOT NULL,
    debits numeric(38,0) NOT NULL,
    credits numeric(38,0) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    asset_id character varying(10) NOT NULL,
    customer_id uuid,
    labels character varying(64)[],
    request_id character varying(128) DEFAULT "left"(NULLIF(current_setting('brokerage.request_id'::text, true), ''::text), 128),
    CONSTRAINT account_labels_few CHECK (((labels IS NULL) OR ((
CASE
    WHEN (labels IS NULL) THEN NULL::integer
    ELSE COALESCE(array_length(labels, 1), 0)
END <= 8) AND (array_position(labels, ''::character varying) IS NULL)))),
    CONSTRAINT account_owner_fits_type CHECK ((((bucket IS NULL) AND (customer_id IS NOT NULL) AND ((type)::text = ANY ('{available,settling,margin}'::text[]))) OR ((bucket IS NOT NULL) AND (customer_id IS NULL) AND ((type)::text = ANY ('{liquidity,fees,profit,swap,protection,advances,external,differences,adjustments,capital}'::text[]))))),
    CONSTRAINT account_totals_not_negative CHECK (((credits >= (0)::numeric) AND (debits >= (0)::numeric))),
    CONSTRAINT account_type_known CHECK (((type)::text = ANY ('{available,settling,margin,liquidity,fees,profit,swap,protection,advances,external,differences,adjustments,capital}'::text[]))),
    CONSTRAINT customer_never_below_zero CHECK (((customer_id IS NULL) OR (credits >= debits)))
)
WITH (fillfactor='60');

CREATE TABLE public.accounts_ledgeraudit (
    id uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    ok boolean NOT NULL,
    counted jsonb NOT NULL,
    findings jsonb NOT NULL
);

CREATE TABLE public.accounts_reconciliationline (
    id uuid NOT NULL,
    ledger numeric(38,0) NOT NULL,
    statement numeric(38,0) NOT NULL,
    drift numeric(38,0) GENERATED ALWAYS AS ((statement - ledger)) STORED,
    asset_id character varying(10) NOT NULL,
    run_id uuid NOT NULL
);

CREATE TABLE public.accounts_reconciliationrun (
    id uuid NOT NULL,
    as_of timestamp with time zone NOT NULL,
    at timestamp with time zone NOT NULL,
    source character varying(200) NOT NULL,
    source_sha256 character varying(64) NOT NULL,
    ok boolean NOT NULL,
    made_by_id uuid,
    request_id character varying(128)
);

CREATE TABLE public.accounts_rowversion (
    id uuid NOT NULL,
    table_name character varying(63) NOT NULL,
    row_key character varying(64) NOT NULL,
    number integer NOT NULL,
    said jsonb,
    by_role character varying(63) NOT NULL,
    at timestamp with time zone NOT NULL,
    request_id character varying(128) DEFAULT "left"(NULLIF(current_setting('brokerage.request_id'::text, true), ''::text), 128),
    CONSTRAINT version_number_positive CHECK ((number >= 1))
);

CREATE TABLE public.accounts_sealblock (
    number bigint NOT NULL,
    table_name character varying(63) NOT NULL,
    columns text NOT NULL,
    after uuid NOT NULL,
    through uuid NOT NULL,
    rows_count integer NOT NULL,
    ids bytea NOT NULL,
    digests bytea NOT NULL,
    sides bytea NOT NULL,
    previous_hash character varying(64) NOT NULL,
    hash character varying(64) NOT NULL,
    sealed_at timestamp with time zone NOT NULL,
    CONSTRAINT seal_block_holds_rows CHECK (((number >= 1) AND (rows_count >= 1) AND (through > after))),
    CONSTRAINT seal_block_is_whole CHECK (((octet_length(ids) = (16 * rows_count)) AND (octet_length(digests) = (32 * rows_count)) AND ((octet_length(sides) = 0) OR (octet_length(sides) = (8 * rows_count)))))
);
ALTER TABLE ONLY public.accounts_sealblock ALTER COLUMN ids SET STORAGE EXTERNAL;
ALTER TABLE ONLY public.accounts_sealblock ALTER COLUMN digests SET STORAGE EXTERNAL;
ALTER TABLE ONLY public.accounts_sealblock ALTER COLUMN sides SET STORAGE EXTERNAL;

CREATE TABLE public.accounts_transfer (
    id uuid NOT NULL,
    amount numeric(38,0) NOT NULL,
    kind character varying(32) NOT NULL,
    key character varying(160) NOT NULL,
    subject uuid,
    at timestamp with time zone NOT NULL,
    asset_id character varying(10) NOT NULL,
    credit_account_id uuid NOT NULL,
    customer_id uuid,
    debit_account_id uuid NOT NULL,
    CONSTRAINT transfer_amount_positive CHECK ((amount > (0)::numeric)),
    CONSTRAINT transfer_between_two_accounts CHECK ((NOT (debit_account_id = credit_account_id))),
    CONSTRAINT transfer_kind_known CHECK (((kind)::text = ANY ('{order_margin,order_margin_release,order_profit,order_loss,trade_deliver,trade_receive,trade_fee,trade_settled,order_swap,order_margin_drawn,order_margin_restored,order_advance,order_advance_repaid,order_advance_waived,order_protection,deposit,withdrawal,capital_in,profit_out,fees_out,leg_settled,leg_difference,leg_reopened,adjustment,reversal,break_paid,break_written_off}'::text[])))
);

CREATE TABLE public.accounts_user (
    password character varying(128) NOT NULL,
    last_login timestamp with time zone,
    is_superuser boolean NOT NULL,
    id uuid NOT NULL,
    email character varying(254) NOT NULL,
    name character varying(200) NOT NULL,
    is_active boolean NOT NULL,
    is_staff boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    generation integer DEFAULT 0 NOT NULL,
    salt uuid DEFAULT gen_random_uuid() NOT NULL,
    CONSTRAINT accounts_user_generation_check CHECK ((generation >= 0))
);

CREATE TABLE public.accounts_user_groups (
    id bigint NOT NULL,
    user_id uuid NOT NULL,
    group_id integer NOT NULL
);

ALTER TABLE public.accounts_user_groups ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.accounts_user_groups_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.accounts_user_user_permissions (
    id bigint NOT NULL,
    user_id uuid NOT NULL,
    permission_id integer NOT NULL
);

ALTER TABLE public.accounts_user_user_permissions ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.accounts_user_user_permissions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE ONLY public.accounts_answeredrequest
    ADD CONSTRAINT accounts_answeredrequest_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.accounts_apiclient
    ADD CONSTRAINT accounts_apiclient_client_id_key UNIQUE (client_id);

ALTER TABLE ONLY public.accounts_apiclient
    ADD CONSTRAINT accounts_apiclient_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.accounts_asset
    ADD CONSTRAINT accounts_asset_pkey PRIMARY KEY (code);

ALTER TABLE ONLY public.accounts_break
    ADD CONSTRAINT accounts_break_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.accounts_customer
    ADD CONSTRAINT accounts_customer_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.accounts_customer
    ADD CONSTRAINT accounts_customer_user_id_key UNIQUE (user_id);

ALTER TABLE ONLY public.accounts_customerdetails
    ADD CONSTRAINT accounts_customerdetails_customer_id_key UNIQUE (customer_id);

ALTER TABLE ONLY public.accounts_customerdetails
    ADD CONSTRAINT accounts_customerdetails_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.accounts_endedsession
    ADD CONSTRAINT accounts_endedsession_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.accounts_event
    ADD CONSTRAINT accounts_event_pkey PRIMARY KEY (transaction, number);

ALTER TABLE ONLY public.accounts_eventhorizon
    ADD CONSTRAINT accounts_eventhorizon_pkey PRIMARY KEY (at);

ALTER TABLE ONLY public.accounts_eventshift
    ADD CONSTRAINT accounts_eventshift_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.accounts_funding
    ADD CONSTRAINT accounts_funding_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.accounts_funding
    ADD CONSTRAINT accounts_funding_reference_key UNIQUE (reference);

ALTER TABLE ONLY public.accounts_funding
    ADD CONSTRAINT accounts_funding_transfer_id_key UNIQUE (transfer_id);

ALTER TABLE ONLY public.accounts_identificationnumber
    ADD CONSTRAINT accounts_identificationnumber_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.accounts_knownaddress
    ADD CONSTRAINT accounts_knownaddress_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.accounts_ledgeraccount
    ADD CONSTRAINT accounts_ledgeraccount_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.accounts_ledgeraudit
    ADD CONSTRAINT accounts_ledgeraudit_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.accounts_reconciliationline
    ADD CONSTRAINT accounts_reconciliationline_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.accounts_reconciliationrun
    ADD CONSTRAINT accounts_reconciliationrun_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.accounts_rowversion
    ADD CONSTRAINT accounts_rowversion_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.accounts_sealblock
    ADD CONSTRAINT accounts_sealblock_pkey PRIMARY KEY (number);

ALTER TABLE ONLY public.accounts_transfer
    ADD CONSTRAINT accounts_transfer_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.accounts_user
    ADD CONSTRAINT accounts_user_email_key UNIQUE (email);

ALTER TABLE ONLY public.accounts_user_groups
    ADD CONSTRAINT accounts_user_groups_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.accounts_user_groups
    ADD CONSTRAINT accounts_user_groups_user_id_group_id_59c0b32f_uniq UNIQUE (user_id, group_id);

ALTER TABLE ONLY public.accounts_user
    ADD CONSTRAINT accounts_user_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.accounts_user_user_permissions
    ADD CONSTRAINT accounts_user_user_permi_user_id_permission_id_2ab516c2_uniq UNIQUE (user_id, permission_id);

ALTER TABLE ONLY public.accounts_user_user_permissions
    ADD CONSTRAINT accounts_user_user_permissions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.accounts_knownaddress
    ADD CONSTRAINT known_address_once UNIQUE (user_id, address);

ALTER TABLE ONLY public.accounts_answeredrequest
    ADD CONSTRAINT one_answer_per_caller_and_key UNIQUE NULLS NOT DISTINCT (user_id, client_id, customer_id, key);

ALTER TABLE ONLY public.accounts_reconciliationline
    ADD CONSTRAINT one_line_per_run_and_asset UNIQUE (run_id, asset_id);

ALTER TABLE ONLY public.accounts_sealblock
    ADD CONSTRAINT one_seal_block_per_range UNIQUE (table_name, after);

ALTER TABLE ONLY public.accounts_rowversion
    ADD CONSTRAINT one_version_per_number UNIQUE (table_name, row_key, number);

ALTER TABLE ONLY public.accounts_sealblock
    ADD CONSTRAINT seal_block_hash_unique UNIQUE (hash);

ALTER TABLE ONLY public.accounts_transfer
    ADD CONSTRAINT transfer_key_unique_per_customer UNIQUE NULLS NOT DISTINCT (customer_id, key);

CREATE INDEX account_by_label ON public.accounts_ledgeraccount USING gin (labels) WHERE (labels IS NOT NULL);

CREATE INDEX accounts_apiclient_client_id_4ad68ac8_like ON public.accounts_apiclient USING btree (client_id varchar_pattern_ops);

CREATE INDEX accounts_asset_code_c524caf2_like ON public.accounts_asset USING btree (code varchar_pattern_ops);

CREATE INDEX accounts_endedsession_user_id_ccbb3bfe ON public.accounts_endedsession USING btree (user_id);

CREATE INDEX accounts_funding_reference_05d9710d_like ON public.accounts_funding USING btree (reference varchar_pattern_ops);

CREATE INDEX accounts_identificationnumber_details_id_1a386802 ON public.accounts_identificationnumber USING btree (details_id);

CREATE INDEX accounts_knownaddress_user_id_e72f4276 ON public.accounts_knownaddress USING btree (user_id);

CREATE INDEX accounts_ledgeraccount_customer_id_d94bcade ON public.accounts_ledgeraccount USING btree (customer_id);

CREATE INDEX accounts_reconciliationrun_made_by_id_07c2bfd0 ON public.accounts_reconciliationrun USING btree (made_by_id);

CREATE INDEX accounts_user_email_b2644a56_like ON public.accounts_user USING btree (email varchar_pattern_ops);

CREATE INDEX accounts_user_groups_group_id_bd11a704 ON public.accounts_user_groups USING btree (group_id);

CREATE INDEX accounts_user_groups_user_id_52b62117 ON public.accounts_user_groups USING btree (user_id);

CREATE INDEX accounts_user_user_permissions_permission_id_113bb443 ON public.accounts_user_user_permissions USING btree (permission_id);

CREATE INDEX accounts_user_user_permissions_user_id_e4f0a161 ON public.accounts_user_user_permissions USING btree (user_id);

CREATE INDEX customer_by_external_id ON public.accounts_customer USING btree (external_id) WHERE (external_id IS NOT NULL);

CREATE INDEX customer_by_label ON public.accounts_customer USING gin (labels) WHERE (labels IS NOT NULL);

CREATE INDEX customer_storing ON public.accounts_customer USING btree (id) WHERE ((state)::text = 'storing'::text);

CREATE INDEX event_by_customer ON public.accounts_event USING btree (customer_id, transaction, number);

CREATE UNIQUE INDEX one_account_per_bucket ON public.accounts_ledgeraccount USING btree (bucket, asset_id, type) WHERE (customer_id IS NULL);

CREATE UNIQUE INDEX one_account_per_customer ON public.accounts_ledgeraccount USING btree (customer_id, asset_id, type) WHERE (customer_id IS NOT NULL);

CREATE UNIQUE INDEX one_open_break_per_cause ON public.accounts_break USING btree (kind, asset_id, subject) NULLS NOT DISTINCT WHERE ((state)::text = 'open'::text);

CREATE INDEX transfer_by_customer ON public.accounts_transfer USING btree (customer_id, id);

CREATE UNIQUE INDEX user_email_any_case ON public.accounts_user USING btree (lower((email)::text));

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.accounts_event FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.accounts_funding FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.accounts_ledgeraudit FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.accounts_reconciliationline FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.accounts_reconciliationrun FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.accounts_rowversion FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.accounts_sealblock FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.accounts_transfer FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER changed_by_owner BEFORE UPDATE OF type, adjustment_limit ON public.accounts_asset FOR EACH ROW WHEN ((((new.type)::text <> (old.type)::text) OR (new.adjustment_limit <> old.adjustment_limit))) EXECUTE FUNCTION public.refuse_all_but_owner();

CREATE TRIGGER changed_by_owner BEFORE UPDATE OF at, transaction ON public.accounts_eventhorizon FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_all_but_owner();

CREATE TRIGGER changed_by_owner BEFORE UPDATE OF id, shift ON public.accounts_eventshift FOR EACH ROW EXECUTE FUNCTION public.refuse_all_but_owner();

CREATE TRIGGER ends_sessions BEFORE UPDATE ON public.accounts_apiclient FOR EACH ROW EXECUTE FUNCTION public.end_sessions();

CREATE TRIGGER ends_sessions BEFORE UPDATE ON public.accounts_user FOR EACH ROW EXECUTE FUNCTION public.end_sessions();

CREATE TRIGGER erased_for_good BEFORE UPDATE OF erased_at ON public.accounts_customer FOR EACH ROW WHEN (((old.erased_at IS NOT NULL) AND (new.erased_at IS DISTINCT FROM old.erased_at))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER facts_never_change BEFORE UPDATE ON public.accounts_break FOR EACH ROW WHEN (((new.id <> old.id) OR ((new.kind)::text <> (old.kind)::text) OR ((new.asset_id)::text <> (old.asset_id)::text) OR (new.amount <> old.amount) OR (new.subject IS DISTINCT FROM old.subject) OR (new.opened_at <> old.opened_at) OR ((old.state)::text = 'resolved'::text))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER kept_for_a_day AFTER DELETE ON public.accounts_answeredrequest FOR EACH ROW WHEN ((old.at > (clock_timestamp() - '24:00:00'::interval))) EXECUTE FUNCTION public.refuse_early_removal();

CREATE TRIGGER legal_moves BEFORE UPDATE OF state ON public.accounts_customer FOR EACH ROW WHEN ((((old.state)::text <> (new.state)::text) AND (NOT ((((old.state)::text = 'storing'::text) AND ((new.state)::text = ANY ((ARRAY['unverified'::character varying, 'verified'::character varying, 'rejected'::character varying])::text[]))) OR (((old.state)::text = 'unverified'::text) AND ((new.state)::text = ANY ((ARRAY['verified'::character varying, 'rejected'::character varying])::text[]))) OR (((old.state)::text = 'verified'::text) AND ((new.state)::text = ANY ((ARRAY['unverified'::character varying, 'rejected'::character varying, 'frozen'::character varying])::text[]))) OR (((old.state)::text = 'rejected'::text) AND ((new.state)::text = ANY ((ARRAY['unverified'::character varying, 'verified'::character varying])::text[]))) OR (((old.state)::text = 'frozen'::text) AND ((new.state)::text = ANY ((ARRAY['verified'::character varying, 'rejected'::character varying])::text[]))))))) EXECUTE FUNCTION public.refuse_move('state');

CREATE TRIGGER made_by_owner BEFORE INSERT ON public.accounts_asset FOR EACH ROW EXECUTE FUNCTION public.refuse_all_but_owner();

CREATE TRIGGER made_by_owner BEFORE INSERT ON public.accounts_event FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_all_but_owner();

CREATE TRIGGER made_by_owner BEFORE INSERT ON public.accounts_eventhorizon FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_all_but_owner();

CREATE TRIGGER made_by_owner BEFORE INSERT ON public.accounts_eventshift FOR EACH ROW EXECUTE FUNCTION public.refuse_all_but_owner();

CREATE TRIGGER made_by_owner BEFORE INSERT ON public.accounts_rowversion FOR EACH ROW EXECUTE FUNCTION public.refuse_all_but_owner();

CREATE TRIGGER never_changed AFTER UPDATE OF id, user_id, client_id, customer_id, key, request_sha256, path, request_id, status, body, at ON public.accounts_answeredrequest FOR EACH ROW WHEN (((new.id IS DISTINCT FROM old.id) OR (new.user_id IS DISTINCT FROM old.user_id) OR (new.client_id IS DISTINCT FROM old.client_id) OR (new.customer_id IS DISTINCT FROM old.customer_id) OR ((new.key)::text IS DISTINCT FROM (old.key)::text) OR ((new.request_sha256)::text IS DISTINCT FROM (old.request_sha256)::text) OR ((new.path)::text IS DISTINCT FROM (old.path)::text) OR ((new.request_id)::text IS DISTINCT FROM (old.request_id)::text) OR (new.status IS DISTINCT FROM old.status) OR (new.body IS DISTINCT FROM old.body) OR (new.at IS DISTINCT FROM old.at))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_changed AFTER UPDATE OF id, client_id, secret_sha256, created_at ON public.accounts_apiclient FOR EACH ROW WHEN (((new.id IS DISTINCT FROM old.id) OR ((new.client_id)::text IS DISTINCT FROM (old.client_id)::text) OR ((new.secret_sha256)::text IS DISTINCT FROM (old.secret_sha256)::text) OR (new.created_at IS DISTINCT FROM old.created_at))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_changed AFTER UPDATE OF code, decimals ON public.accounts_asset FOR EACH ROW WHEN ((((new.code)::text IS DISTINCT FROM (old.code)::text) OR (new.decimals IS DISTINCT FROM old.decimals))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_changed AFTER UPDATE OF id, kind, asset_id, amount, subject, opened_at ON public.accounts_break FOR EACH ROW WHEN (((new.id IS DISTINCT FROM old.id) OR ((new.kind)::text IS DISTINCT FROM (old.kind)::text) OR ((new.asset_id)::text IS DISTINCT FROM (old.asset_id)::text) OR (new.amount IS DISTINCT FROM old.amount) OR (new.subject IS DISTINCT FROM old.subject) OR (new.opened_at IS DISTINCT FROM old.opened_at))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_changed AFTER UPDATE OF id, user_id, partition, created_at, external_id, expected_behaviour ON public.accounts_customer FOR EACH ROW WHEN (((new.id IS DISTINCT FROM old.id) OR (new.user_id IS DISTINCT FROM old.user_id) OR (new.partition IS DISTINCT FROM old.partition) OR (new.created_at IS DISTINCT FROM old.created_at) OR ((new.external_id)::text IS DISTINCT FROM (old.external_id)::text) OR ((new.expected_behaviour)::text IS DISTINCT FROM (old.expected_behaviour)::text))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_changed AFTER UPDATE OF id, customer_id, first_name, middle_name, last_name, alias, date_of_birth, phone_number, email_address, website, street, street2, city, subdivision, postal_code, country_code ON public.accounts_customerdetails FOR EACH ROW WHEN (((new.id IS DISTINCT FROM old.id) OR (new.customer_id IS DISTINCT FROM old.customer_id) OR ((new.first_name)::text IS DISTINCT FROM (old.first_name)::text) OR ((new.middle_name)::text IS DISTINCT FROM (old.middle_name)::text) OR ((new.last_name)::text IS DISTINCT FROM (old.last_name)::text) OR ((new.alias)::text IS DISTINCT FROM (old.alias)::text) OR (new.date_of_birth IS DISTINCT FROM old.date_of_birth) OR ((new.phone_number)::text IS DISTINCT FROM (old.phone_number)::text) OR ((new.email_address)::text IS DISTINCT FROM (old.email_address)::text) OR ((new.website)::text IS DISTINCT FROM (old.website)::text) OR ((new.street)::text IS DISTINCT FROM (old.street)::text) OR ((new.street2)::text IS DISTINCT FROM (old.street2)::text) OR ((new.city)::text IS DISTINCT FROM (old.city)::text) OR ((new.subdivision)::text IS DISTINCT FROM (old.subdivision)::text) OR ((new.postal_code)::text IS DISTINCT FROM (old.postal_code)::text) OR ((new.country_code)::text IS DISTINCT FROM (old.country_code)::text))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_changed AFTER UPDATE OF id, details_id, type, issuing_country_code, issuing_subdivision, masked ON public.accounts_identificationnumber FOR EACH ROW WHEN (((new.id IS DISTINCT FROM old.id) OR (new.details_id IS DISTINCT FROM old.details_id) OR ((new.type)::text IS DISTINCT FROM (old.type)::text) OR ((new.issuing_country_code)::text IS DISTINCT FROM (old.issuing_country_code)::text) OR ((new.issuing_subdivision)::text IS DISTINCT FROM (old.issuing_subdivision)::text) OR ((new.masked)::text IS DISTINCT FROM (old.masked)::text))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_changed AFTER UPDATE OF id, customer_id, bucket, asset_id, type, created_at ON public.accounts_ledgeraccount FOR EACH ROW WHEN (((new.id IS DISTINCT FROM old.id) OR (new.customer_id IS DISTINCT FROM old.customer_id) OR (new.bucket IS DISTINCT FROM old.bucket) OR ((new.asset_id)::text IS DISTINCT FROM (old.asset_id)::text) OR ((new.type)::text IS DISTINCT FROM (old.type)::text) OR (new.created_at IS DISTINCT FROM old.created_at))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_deleted BEFORE DELETE ON public.accounts_asset FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_deleted BEFORE DELETE ON public.accounts_break FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_deleted BEFORE DELETE ON public.accounts_customer FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_deleted BEFORE DELETE ON public.accounts_eventshift FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_deleted BEFORE DELETE ON public.accounts_ledgeraccount FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.accounts_answeredrequest FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.accounts_asset FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.accounts_break FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.accounts_customer FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.accounts_event FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.accounts_eventshift FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.accounts_funding FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.accounts_ledgeraccount FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.accounts_ledgeraudit FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.accounts_reconciliationline FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.accounts_reconciliationrun FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.accounts_rowversion FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.accounts_sealblock FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.accounts_transfer FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER removed_by_owner BEFORE DELETE OR TRUNCATE ON public.accounts_eventhorizon FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_all_but_owner();

CREATE TRIGGER tells_changed AFTER UPDATE ON public.accounts_customer FOR EACH ROW WHEN ((((new.state)::text = (old.state)::text) AND ((((new.name)::text IS DISTINCT FROM (old.name)::text) OR (new.labels IS DISTINCT FROM old.labels)) OR (new.updated_at IS DISTINCT FROM old.updated_at)))) EXECUTE FUNCTION public.tell_customer_changed();

CREATE TRIGGER tells_changed AFTER UPDATE OF name, labels ON public.accounts_ledgeraccount FOR EACH ROW WHEN ((((new.type)::text = 'available'::text) AND (((new.name)::text IS DISTINCT FROM (old.name)::text) OR (new.labels IS DISTINCT FROM old.labels)))) EXECUTE FUNCTION public.tell_account();

CREATE TRIGGER tells_made AFTER INSERT ON public.accounts_customer FOR EACH ROW EXECUTE FUNCTION public.tell_customer();

CREATE TRIGGER tells_made AFTER INSERT ON public.accounts_ledgeraccount FOR EACH ROW WHEN ((((new.type)::text = 'available'::text) AND (new.customer_id IS NOT NULL))) EXECUTE FUNCTION public.tell_account();

CREATE TRIGGER tells_moved AFTER UPDATE OF state ON public.accounts_customer FOR EACH ROW WHEN (((new.state)::text <> (old.state)::text)) EXECUTE FUNCTION public.tell_customer();

CREATE TRIGGER versioned AFTER INSERT OR DELETE OR UPDATE ON public.accounts_apiclient FOR EACH ROW EXECUTE FUNCTION public.note_row_version('id', '', 'secret_sha256');

CREATE TRIGGER versioned AFTER INSERT OR DELETE OR UPDATE ON public.accounts_asset FOR EACH ROW EXECUTE FUNCTION public.note_row_version('code', '', '');

CREATE TRIGGER versioned AFTER INSERT OR DELETE OR UPDATE ON public.accounts_break FOR EACH ROW EXECUTE FUNCTION public.note_row_version('id', '', '');

CREATE TRIGGER versioned AFTER INSERT OR DELETE OR UPDATE ON public.accounts_customer FOR EACH ROW EXECUTE FUNCTION public.note_row_version('id', 'updated_at', '', 'name,labels');

CREATE TRIGGER versioned AFTER INSERT OR DELETE OR UPDATE ON public.accounts_user FOR EACH ROW EXECUTE FUNCTION public.note_row_version('id', 'last_login', 'password', 'email,name');

ALTER TABLE ONLY public.accounts_break
    ADD CONSTRAINT accounts_break_asset_id_d5052238_fk_accounts_asset_code FOREIGN KEY (asset_id) REFERENCES public.accounts_asset(code) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.accounts_break
    ADD CONSTRAINT accounts_break_owner_id_36c3f4d6_fk_accounts_user_id FOREIGN KEY (owner_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.accounts_customer
    ADD CONSTRAINT accounts_customer_user_id_11606857_fk_accounts_user_id FOREIGN KEY (user_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.accounts_customerdetails
    ADD CONSTRAINT accounts_customerdet_customer_id_48e126f8_fk_accounts_ FOREIGN KEY (customer_id) REFERENCES public.accounts_customer(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.accounts_endedsession
    ADD CONSTRAINT accounts_endedsession_user_id_ccbb3bfe_fk_accounts_user_id FOREIGN KEY (user_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.accounts_funding
    ADD CONSTRAINT accounts_funding_made_by_client_id_864d795e_fk_accounts_ FOREIGN KEY (made_by_client_id) REFERENCES public.accounts_apiclient(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.accounts_funding
    ADD CONSTRAINT accounts_funding_made_by_id_7ba3c83e_fk_accounts_user_id FOREIGN KEY (made_by_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.accounts_identificationnumber
    ADD CONSTRAINT accounts_identificat_details_id_1a386802_fk_accounts_ FOREIGN KEY (details_id) REFERENCES public.accounts_customerdetails(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.accounts_knownaddress
    ADD CONSTRAINT accounts_knownaddress_user_id_e72f4276_fk_accounts_user_id FOREIGN KEY (user_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.accounts_ledgeraccount
    ADD CONSTRAINT accounts_ledgeraccou_customer_id_d94bcade_fk_accounts_ FOREIGN KEY (customer_id) REFERENCES public.accounts_customer(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.accounts_ledgeraccount
    ADD CONSTRAINT accounts_ledgeraccount_asset_id_ae139cc9_fk_accounts_asset_code FOREIGN KEY (asset_id) REFERENCES public.accounts_asset(code) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.accounts_reconciliationline
    ADD CONSTRAINT accounts_reconciliat_asset_id_7af3627f_fk_accounts_ FOREIGN KEY (asset_id) REFERENCES public.accounts_asset(code) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.accounts_reconciliationrun
    ADD CONSTRAINT accounts_reconciliat_made_by_id_07c2bfd0_fk_accounts_ FOREIGN KEY (made_by_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.accounts_reconciliationline
    ADD CONSTRAINT accounts_reconciliat_run_id_a3833e1d_fk_accounts_ FOREIGN KEY (run_id) REFERENCES public.accounts_reconciliationrun(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.accounts_user_groups
    ADD CONSTRAINT accounts_user_groups_group_id_bd11a704_fk_auth_group_id FOREIGN KEY (group_id) REFERENCES public.auth_group(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.accounts_user_groups
    ADD CONSTRAINT accounts_user_groups_user_id_52b62117_fk_accounts_user_id FOREIGN KEY (user_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.accounts_user_user_permissions
    ADD CONSTRAINT accounts_user_user_p_permission_id_113bb443_fk_auth_perm FOREIGN KEY (permission_id) REFERENCES public.auth_permission(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.accounts_user_user_permissions
    ADD CONSTRAINT accounts_user_user_p_user_id_e4f0a161_fk_accounts_ FOREIGN KEY (user_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

REVOKE ALL ON FUNCTION public.keep_versions(of_table text, key text, without text, hashed text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.note_row_version() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.tell_account() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.tell_customer() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.tell_customer_changed() FROM PUBLIC;

INSERT INTO public.accounts_asset
    (code, type, name, symbol, decimals, adjustment_limit)
VALUES
    ('EUR', 'fiat', 'Euro', '€', 2, 0),
    ('BTC', 'crypto', 'Bitcoin', '₿', 8, 0),
    ('ETH', 'crypto', 'Ether', 'Ξ', 18, 0),
    ('SOL', 'crypto', 'Solana', '◎', 9, 0),
    ('XAU', 'metal', 'Gold', 'oz', 6, 0),
    ('USD', 'fiat', 'US dollar', '$', 2, 100000);

INSERT INTO public.accounts_eventshift
    (id, shift)
VALUES
    (1, 0);

SELECT public.note_event_horizon();
