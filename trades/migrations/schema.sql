-- The tables of trades as migrations 0001 to 0091 left them, with their rows; read by 0001_squashed_0091_events.py.

SET LOCAL check_function_bodies = off;  -- functions come before the tables that they name

CREATE FUNCTION public.claim_leg_reference() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO public.trades_legreference (key, leg_id) VALUES (upper(replace(NEW.reference, ' ', '')), NEW.leg_id)
    ON CONFLICT (key) DO NOTHING;
    IF NOT EXISTS (SELECT FROM public.trades_legreference
                   WHERE key = upper(replace(NEW.reference, ' ', '')) AND leg_id = NEW.leg_id) THEN
        RAISE EXCEPTION 'this reference has settled another leg' USING ERRCODE = 'integrity_constraint_violation',
            CONSTRAINT = 'one_leg_per_reference';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION public.count_schedule_from_now() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF TG_OP = 'INSERT' OR ROW(NEW.cron, NEW.time_zone, NEW.calendar, NEW.is_active, NEW.is_automatic,
                               NEW.legs_are_automatic)
        IS DISTINCT FROM ROW(OLD.cron, OLD.time_zone, OLD.calendar, OLD.is_active, OLD.is_automatic,
                             OLD.legs_are_automatic) THEN
        NEW.schedule_since := clock_timestamp();
    ELSE
        NEW.schedule_since := OLD.schedule_since;
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION public.date_step() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    NEW.updated_at := greatest(clock_timestamp(), OLD.updated_at + interval '1 millisecond');
    RETURN NEW;
END $$;

CREATE FUNCTION public.details_erased_with_customer() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM public.accounts_customer c WHERE c.id = OLD.customer_id AND c.erased_at IS NOT NULL) THEN
        RAISE EXCEPTION 'personal data goes when its customer is erased'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN OLD;
END $$;

CREATE FUNCTION public.erased_by_two() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM public.trades_erasure e WHERE e.customer_id = NEW.id AND e.state = 'done') THEN
        RAISE EXCEPTION 'a customer is erased by two persons' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION public.goes_where_agreed() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM public.trades_standinginstruction s WHERE s.id = NEW.standing_id AND s.state = 'approved'
        AND s.counterparty_id = NEW.counterparty_id AND s.asset_id = NEW.asset_id AND s.in_force_from <= NEW.made_at
    ) THEN
        RAISE EXCEPTION 'an instruction goes where two persons agreed'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION public.highest_low_water() RETURNS uuid
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp() - interval '10 minutes') * 1000)::bigint), 12, '0')
            || '70008000000000000000')::uuid
$$;

CREATE FUNCTION public.leg_says_what_was_reported() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF NEW.actual IS DISTINCT FROM (SELECT sum(amount) FROM public.trades_legreport
                                    WHERE leg_id = NEW.id AND reversals = NEW.reversals) THEN
        RAISE EXCEPTION 'a leg''s actual is the sum of its reports' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION public.note_batch() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO public.trades_batchevent (id, batch_id, became, window_id, asset_kinds, cut_at, created_at, confirmed_at,
        trades_count, members_sha256, made_by, confirmed_by, cancelled_by, at)
    VALUES (public.new_uuid7(), NEW.id, NEW.state, NEW.window_id, NEW.asset_kinds, NEW.cut_at, NEW.created_at,
        NEW.confirmed_at, NEW.trades_count, NEW.members_sha256,
        coalesce(NEW.made_by_id::text, NEW.made_by_client_id::text, ''),
        coalesce(NEW.confirmed_by_id::text, NEW.confirmed_by_client_id::text, ''),
        coalesce(NEW.cancelled_by_id::text, NEW.cancelled_by_client_id::text, ''), clock_timestamp());
    RETURN NULL;
END $$;

CREATE FUNCTION public.propose_correction() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF NEW.state <> 'proposed' OR NEW.checked_by_id IS NOT NULL OR NEW.checked_by_client_id IS NOT NULL THEN
        RAISE EXCEPTION 'a correction begins as a proposal that nobody has checked'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NOT NEW.needs_checker AND (NEW.kind NOT IN ('adjustment', 'deposit', 'withdrawal')
            OR NOT coalesce(NEW.amount <= (
                SELECT a.adjustment_limit FROM public.accounts_asset a WHERE a.code = NEW.asset_id), false)) THEN
        RAISE EXCEPTION 'this correction needs a second person'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION public.propose_erasure() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF NEW.state <> 'proposed' THEN
        RAISE EXCEPTION 'an erasure begins as a proposal' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION public.refuse_alone() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RAISE EXCEPTION 'a second person must decide on this row of %', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE FUNCTION public.refuse_beside_reversal() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF EXISTS (
        SELECT FROM public.trades_correction c
        WHERE c.kind = 'reverse_batch' AND c.state IN ('applying', 'applied')
          AND c.subject = CASE TG_ARGV[0]
              WHEN 'leg' THEN (to_jsonb(NEW) ->> 'batch_id')::uuid
              ELSE (SELECT t.batch_id FROM public.trades_trade t WHERE t.id = (to_jsonb(NEW) ->> 'subject')::uuid) END
    ) THEN
        RAISE EXCEPTION 'the batch of this row of % has been reversed', TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION public.refuse_mark() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RAISE EXCEPTION 'the low-water mark of % would pass what is less than ten minutes old', NEW.kind
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE FUNCTION public.refuse_while_open() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF public.what_is_open(NEW.symbol) IS NOT NULL THEN
        RAISE EXCEPTION 'decimals of % do not change while there are %', NEW.symbol, public.what_is_open(NEW.symbol)
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION public.tell_batches() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    here CONSTANT bigint := public.event_transaction();
BEGIN
    INSERT INTO public.accounts_event (transaction, kind, object_id, customer_id, detail, at)
    SELECT here, 'settlement_batch.' || became, batch_id, NULL::uuid, '', at FROM made;
    RETURN NULL;
END $$;

CREATE FUNCTION public.tell_leg() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    here CONSTANT bigint := public.event_transaction();
BEGIN
    INSERT INTO public.accounts_event (transaction, kind, object_id, customer_id, detail, at)
    SELECT here, 'settlement_leg.' || NEW.status, NEW.id, NULL::uuid, NEW.asset_id, NEW.updated_at;
    RETURN NULL;
END $$;

CREATE FUNCTION public.tell_orders() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    here CONSTANT bigint := public.event_transaction();
BEGIN
    INSERT INTO public.accounts_event (transaction, kind, object_id, customer_id, detail, at)
    SELECT here, CASE WHEN kind IN ('margin_call', 'margin_call_over', 'stop_out') THEN 'margin_account.' || kind ELSE 'order.' || kind END, coalesce(order_id, customer_id), customer_id, '', at FROM made;
    RETURN NULL;
END $$;

CREATE FUNCTION public.tell_quotes() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    here CONSTANT bigint := public.event_transaction();
BEGIN
    INSERT INTO public.accounts_event (transaction, kind, object_id, customer_id, detail, at)
    SELECT here, 'quote.executed', quote_id, customer_id, '', created_at FROM made ORDER BY id;
    RETURN NULL;
END $$;

CREATE FUNCTION public.tell_trades() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    here CONSTANT bigint := public.event_transaction();
BEGIN
    INSERT INTO public.accounts_event (transaction, kind, object_id, customer_id, detail, at)
    SELECT here, 'trade.' || became, trade_id, customer_id, detail, at FROM made;
    RETURN NULL;
END $$;

CREATE FUNCTION public.what_is_open(of_symbol text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT string_agg(found.count || ' ' || found.what, ', ' ORDER BY found.number) FROM (
        SELECT 1, 'open orders', count(*) FROM public.trades_order
        WHERE instrument_id = of_symbol AND status = 'OPEN'
        UNION ALL
        SELECT 2, 'pending orders', count(*) FROM public.trades_order
        WHERE instrument_id = of_symbol AND status = 'PENDING'
        UNION ALL
        SELECT 3, 'trades under way', count(*) FROM public.trades_trade
        WHERE instrument_id = of_symbol AND state IN ('storing', 'settling')
        UNION ALL
        SELECT 4, 'quotes that may be executed', count(*) FROM public.quotes_quote q
        WHERE q.instrument_id = of_symbol AND q.expires_at > clock_timestamp()
          AND NOT EXISTS (SELECT FROM public.trades_trade t WHERE t.quote_id = q.id)
    ) found (number, what, count) WHERE found.count > 0
$$;

CREATE TABLE public.trades_batchevent (
    id uuid NOT NULL,
    became character varying(20) NOT NULL,
    window_id uuid,
    asset_kinds character varying(40) NOT NULL,
    cut_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    confirmed_at timestamp with time zone,
    trades_count integer NOT NULL,
    members_sha256 character varying(64) NOT NULL,
    made_by character varying(36) NOT NULL,
    confirmed_by character varying(36) NOT NULL,
    cancelled_by character varying(36) NOT NULL,
    at timestamp with time zone NOT NULL,
    batch_id uuid NOT NULL,
    request_id character varying(128) DEFAULT "left"(NULLIF(current_setting('brokerage.request_id'::text, true), ''::text), 128),
    CONSTRAINT batch_event_became_known CHECK (((became)::text = ANY ((ARRAY['cut'::character varying, 'confirmed'::character varying, 'settling'::character varying, 'partially_settled'::character varying, 'completed'::character varying, 'cancelled'::character varying])::text[]))),
    CONSTRAINT trades_batchevent_trades_count_check CHECK ((trades_count >= 0))
);

CREATE TABLE public.trades_correction (
    id uuid NOT NULL,
    kind character varying(20) NOT NULL,
    state character varying(8) NOT NULL,
    subject uuid,
    amount numeric(38,0),
    direction character varying(6) NOT NULL,
    reason character varying(500) NOT NULL,
    reference character varying(128) NOT NULL,
    needs_checker boolean NOT NULL,
    made_at timestamp with time zone NOT NULL,
    decided_at timestamp with time zone,
    movements_count integer NOT NULL,
    asset_id character varying(10),
    checked_by_id uuid,
    checked_by_client_id uuid,
    customer_id uuid,
    made_by_id uuid,
    made_by_client_id uuid,
    once uuid,
    updated_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    slice_ends uuid[] NOT NULL,
    slices_done integer NOT NULL,
    trades_count integer NOT NULL,
    trades_done integer NOT NULL,
    waits_for uuid[] NOT NULL,
    CONSTRAINT adjustment_says_whose_and_how_much CHECK (((NOT ((kind)::text = 'adjustment'::text)) OR ((amount > (0)::numeric) AND (asset_id IS NOT NULL) AND (customer_id IS NOT NULL) AND ((direction)::text = ANY ((ARRAY['credit'::character varying, 'debit'::character varying])::text[]))))),
    CONSTRAINT correction_applied_by_a_checker CHECK (((NOT ((state)::text = ANY ((ARRAY['applying'::character varying, 'applied'::character varying])::text[]))) OR (NOT needs_checker) OR (checked_by_id IS NOT NULL) OR (checked_by_client_id IS NOT NULL))),
    CONSTRAINT correction_decided_at_a_time CHECK ((((decided_at IS NULL) AND ((state)::text = 'proposed'::text)) OR ((decided_at IS NOT NULL) AND ((state)::text = ANY ((ARRAY['applying'::character varying, 'applied'::character varying, 'rejected'::character varying])::text[]))))),
    CONSTRAINT correction_direction_known CHECK (((direction)::text = ANY ((ARRAY[''::character varying, 'credit'::character varying, 'debit'::character varying])::text[]))),
    CONSTRAINT correction_has_a_maker CHECK (((made_by_id IS NOT NULL) OR (made_by_client_id IS NOT NULL))),
    CONSTRAINT correction_has_a_reason CHECK ((NOT ((reason)::text = ''::text))),
    CONSTRAINT correction_is_applied_when_all_is_done CHECK ((((slices_done <=
CASE
    WHEN (slice_ends IS NULL) THEN NULL::integer
    ELSE COALESCE(array_length(slice_ends, 1), 0)
END) AND ((state)::text = 'applying'::text) AND (trades_done <= trades_count)) OR ((NOT ((state)::text = 'applying'::text)) AND (slices_done =
CASE
    WHEN (slice_ends IS NULL) THEN NULL::integer
    ELSE COALESCE(array_length(slice_ends, 1), 0)
END) AND (trades_done = trades_count) AND (
CASE
    WHEN (waits_for IS NULL) THEN NULL::integer
    ELSE COALESCE(array_length(waits_for, 1), 0)
END = 0)))),
    CONSTRAINT correction_kind_known CHECK (((kind)::text = ANY ((ARRAY['reverse_trade'::character varying, 'reverse_batch'::character varying, 'reverse_leg'::character varying, 'adjustment'::character varying, 'break_paid'::character varying, 'break_written_off'::character varying, 'deposit'::character varying, 'withdrawal'::character varying, 'capital_in'::character varying, 'profit_out'::character varying, 'fees_out'::character varying])::text[]))),
    CONSTRAINT correction_maker_client_is_not_checker CHECK (((made_by_client_id IS NULL) OR (checked_by_client_id IS NULL) OR (NOT ((made_by_client_id = checked_by_client_id) AND (made_by_client_id IS NOT NULL) AND (checked_by_client_id IS NOT NULL))))),
    CONSTRAINT correction_maker_is_not_checker CHECK (((made_by_id IS NULL) OR (checked_by_id IS NULL) OR (NOT ((made_by_id = checked_by_id) AND (made_by_id IS NOT NULL) AND (checked_by_id IS NOT NULL))))),
    CONSTRAINT correction_moves_nothing_undecided CHECK (((NOT ((state)::text = ANY ((ARRAY['proposed'::character varying, 'rejected'::character varying])::text[]))) OR ((movements_count = 0) AND (slices_done = 0) AND (trades_count = 0) AND (trades_done = 0)))),
    CONSTRAINT correction_names_its_subject CHECK ((((kind)::text = ANY ((ARRAY['adjustment'::character varying, 'deposit'::character varying, 'withdrawal'::character varying, 'capital_in'::character varying, 'profit_out'::character varying, 'fees_out'::character varying])::text[])) OR (subject IS NOT NULL))),
    CONSTRAINT correction_state_known CHECK (((state)::text = ANY ((ARRAY['proposed'::character varying, 'applying'::character varying, 'applied'::character varying, 'rejected'::character varying])::text[]))),
    CONSTRAINT funding_says_whose_and_by_which_reference CHECK (((NOT ((kind)::text = ANY ((ARRAY['deposit'::character varying, 'withdrawal'::character varying])::text[]))) OR ((amount > (0)::numeric) AND (asset_id IS NOT NULL) AND (customer_id IS NOT NULL) AND (NOT ((reference)::text = ''::text))))),
    CONSTRAINT only_a_batch_is_reversed_in_slices CHECK (((NOT ((state)::text = 'applying'::text)) OR ((kind)::text = 'reverse_batch'::text))),
    CONSTRAINT the_firms_own_money_takes_two_persons CHECK (((NOT ((kind)::text = ANY ((ARRAY['capital_in'::character varying, 'profit_out'::character varying, 'fees_out'::character varying])::text[]))) OR ((amount > (0)::numeric) AND (asset_id IS NOT NULL) AND (customer_id IS NULL) AND needs_checker AND (NOT ((reference)::text = ''::text))))),
    CONSTRAINT trades_correction_movements_count_check CHECK ((movements_count >= 0)),
    CONSTRAINT trades_correction_slices_done_check CHECK ((slices_done >= 0)),
    CONSTRAINT trades_correction_trades_count_check CHECK ((trades_count >= 0)),
    CONSTRAINT trades_correction_trades_done_check CHECK ((trades_done >= 0))
);

CREATE TABLE public.trades_counterparty (
    id uuid NOT NULL,
    name character varying(70) NOT NULL,
    lei character varying(20) NOT NULL,
    is_own boolean NOT NULL,
    is_active boolean NOT NULL,
    made_at timestamp with time zone NOT NULL,
    made_by_id uuid NOT NULL
);

CREATE TABLE public.trades_deal (
    id uuid NOT NULL,
    command_id uuid,
    kind character varying(5) NOT NULL,
    price numeric(38,18) NOT NULL,
    quantity numeric(38,18) NOT NULL,
    profit numeric(38,0) NOT NULL,
    reason character varying(16) NOT NULL,
    at timestamp with time zone NOT NULL,
    customer_id uuid NOT NULL,
    order_id uuid NOT NULL,
    CONSTRAINT deal_kind_known CHECK (((kind)::text = ANY ('{open,close}'::text[]))),
    CONSTRAINT deal_positive CHECK (((price > (0)::numeric) AND (quantity > (0)::numeric))),
    CONSTRAINT deal_reason_known CHECK (((reason)::text = ANY ('{"",manual,take_profit,stop_loss,trailing_stop,stop_out,close_all}'::text[])))
);

CREATE TABLE public.trades_enginelease (
    partition smallint NOT NULL,
    epoch bigint NOT NULL,
    holder character varying(120) NOT NULL,
    renewed_at timestamp with time zone,
    partitions smallint NOT NULL,
    CONSTRAINT trades_enginelease_partition_check CHECK ((partition >= 0)),
    CONSTRAINT trades_enginelease_partitions_check CHECK ((partitions >= 0))
);

CREATE TABLE public.trades_erasure (
    id uuid NOT NULL,
    state character varying(8) NOT NULL,
    reason character varying(500) NOT NULL,
    made_at timestamp with time zone NOT NULL,
    decided_at timestamp with time zone,
    customer_id uuid NOT NULL,
    made_by_id uuid NOT NULL,
    checked_by_id uuid,
    CONSTRAINT erasure_decided_at_a_time CHECK ((((checked_by_id IS NULL) AND (decided_at IS NULL) AND ((state)::text = 'proposed'::text)) OR ((decided_at IS NOT NULL) AND ((state)::text = ANY ((ARRAY['done'::character varying, 'refused'::character varying])::text[]))))),
    CONSTRAINT erasure_done_by_a_checker CHECK (((NOT ((state)::text = 'done'::text)) OR (checked_by_id IS NOT NULL))),
    CONSTRAINT erasure_has_a_reason CHECK ((NOT ((reason)::text = ''::text))),
    CONSTRAINT erasure_maker_is_not_checker CHECK (((checked_by_id IS NULL) OR (NOT ((made_by_id = checked_by_id) AND (checked_by_id IS NOT NULL))))),
    CONSTRAINT erasure_state_known CHECK (((state)::text = ANY ((ARRAY['proposed'::character varying, 'done'::character varying, 'refused'::character varying])::text[])))
);

CREATE TABLE public.trades_idempotentanswer (
    id uuid NOT NULL,
    key character varying(128) NOT NULL,
    request_sha256 character varying(64) NOT NULL,
    command_id uuid NOT NULL,
    status smallint NOT NULL,
    body text NOT NULL,
    at timestamp with time zone NOT NULL,
    customer_id uuid NOT NULL,
    CONSTRAINT answer_status_final CHECK (((status >= 200) AND (status < 500))),
    CONSTRAINT trades_idempotentanswer_status_check CHECK ((status >= 0))
);

CREATE TABLE public.trades_instructionleg (
    id uuid NOT NULL,
    direction character varying(8) NOT NULL,
    amount numeric(38,0) NOT NULL,
    reported numeric(38,0) NOT NULL,
    is_live boolean NOT NULL,
    leg_id uuid NOT NULL,
    instruction_id uuid NOT NULL,
    CONSTRAINT instruction_leg_amount_positive CHECK ((amount > (0)::numeric)),
    CONSTRAINT instruction_leg_direction_known CHECK (((direction)::text = ANY ((ARRAY['incoming'::character varying, 'outgoing'::character varying])::text[]))),
    CONSTRAINT instruction_leg_reported_up_to_it CHECK (((reported >= (0)::numeric) AND (reported <= amount)))
);

CREATE TABLE public.trades_leftout (
    id uuid NOT NULL,
    stage character varying(8) NOT NULL,
    reason character varying(20) NOT NULL,
    detail character varying(200) NOT NULL,
    at timestamp with time zone NOT NULL,
    batch_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    trade_id uuid NOT NULL,
    CONSTRAINT left_out_reason_known CHECK (((reason)::text = ANY ((ARRAY['customer_frozen'::character varying, 'trade_flagged'::character varying, 'exited_later'::character varying, 'still_storing'::character varying])::text[]))),
    CONSTRAINT left_out_stage_known CHECK (((stage)::text = ANY ((ARRAY['cut'::character varying, 'settling'::character varying])::text[])))
);

CREATE TABLE public.trades_legreference (
    key character varying(256) NOT NULL,
    leg_id uuid NOT NULL
);

CREATE TABLE public.trades_legreport (
    id uuid NOT NULL,
    kind character varying(8) NOT NULL,
    number integer NOT NULL,
    reversals smallint NOT NULL,
    amount numeric(38,0),
    reference character varying(128) NOT NULL,
    reason_code character varying(4) NOT NULL,
    text character varying(200) NOT NULL,
    request_id character varying(128),
    at timestamp with time zone NOT NULL,
    by_client_id uuid,
    by_user_id uuid,
    leg_id uuid NOT NULL,
    CONSTRAINT leg_report_amount_where_it_moved CHECK ((((amount >= (0)::numeric) AND (amount IS NOT NULL) AND ((kind)::text = 'settled'::text)) OR ((amount > (0)::numeric) AND (amount IS NOT NULL) AND ((kind)::text = 'part'::text) AND (NOT ((reference)::text = ''::text))) OR ((amount IS NULL) AND ((kind)::text = ANY ((ARRAY['failed'::character varying, 'retried'::character varying, 'reopened'::character varying])::text[])) AND ((reference)::text = ''::text)))),
    CONSTRAINT leg_report_kind_known CHECK (((kind)::text = ANY ((ARRAY['part'::character varying, 'settled'::character varying, 'failed'::character varying, 'retried'::character varying, 'reopened'::character varying])::text[]))),
    CONSTRAINT leg_report_reason_code_known CHECK (((reason_code)::text = ANY ((ARRAY[''::character varying, 'AC01'::character varying, 'AC04'::character varying, 'AC06'::character varying, 'AG01'::character varying, 'AM02'::character varying, 'AM04'::character varying, 'AM05'::character varying, 'CURR'::character varying, 'CUST'::character varying, 'DT01'::character varying, 'ED05'::character varying, 'FR01'::character varying, 'MS03'::character varying, 'RC01'::character varying, 'RR04'::character varying, 'TECH'::character varying, 'TM01'::character varying, 'AWMO'::character varying, 'AWSH'::character varying, 'BLOC'::character varying, 'CLAC'::character varying, 'CLAT'::character varying, 'CMON'::character varying, 'DKNY'::character varying, 'LACK'::character varying, 'LATE'::character varying, 'MONY'::character varying, 'OTHR'::character varying, 'NARR'::character varying])::text[]))),
    CONSTRAINT leg_report_reason_of_failure CHECK (((((kind)::text = 'failed'::text) OR ((reason_code)::text = ''::text)) AND (1 = (
CASE
    WHEN ((kind)::text = 'failed'::text) THEN 1
    ELSE 0
END +
CASE
    WHEN ((reason_code)::text = ''::text) THEN 1
    ELSE 0
END)))),
    CONSTRAINT trades_legreport_number_check CHECK ((number >= 0)),
    CONSTRAINT trades_legreport_reversals_check CHECK ((reversals >= 0))
);

CREATE TABLE public.trades_lowwater (
    kind character varying(10) NOT NULL,
    mark uuid NOT NULL,
    raised_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    CONSTRAINT low_water_kind_known CHECK (((kind)::text = ANY ((ARRAY['storing'::character varying, 'crypto'::character varying, 'fiat'::character varying, 'metal'::character varying])::text[])))
);

CREATE TABLE public.trades_marginaccount (
    customer_id uuid NOT NULL,
    called_at timestamp with time zone,
    drawn numeric(38,0) NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    owed numeric(38,0) DEFAULT 0 NOT NULL,
    owed_at timestamp with time zone,
    swap_carried numeric(61,60) DEFAULT 0 NOT NULL,
    CONSTRAINT drawn_not_negative CHECK ((drawn >= (0)::numeric)),
    CONSTRAINT owed_since_a_moment CHECK ((((owed = (0)::numeric) AND (owed_at IS NULL)) OR ((owed > (0)::numeric) AND (owed_at IS NOT NULL)))),
    CONSTRAINT swap_carried_below_a_unit CHECK (((swap_carried >= '-0.5'::numeric) AND (swap_carried <= 0.5)))
);

CREATE TABLE public.trades_order (
    id uuid NOT NULL,
    code character varying(20) NOT NULL,
    client_order_id character varying(64),
    command_id uuid,
    side character varying(4) NOT NULL,
    type character varying(8) NOT NULL,
    quantity numeric(38,18) NOT NULL,
    leverage smallint NOT NULL,
    margin numeric(38,0) NOT NULL,
    price numeric(38,18),
    open_price numeric(38,18),
    take_profit numeric(38,18),
    stop_loss numeric(38,18),
    trailing_stop numeric(38,18),
    status character varying(10) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    opened_at timestamp with time zone,
    closed_at timestamp with time zone,
    close_price numeric(38,18),
    profit numeric(38,0),
    swap numeric(38,0) NOT NULL,
    fee numeric(38,0) NOT NULL,
    close_reason character varying(16) NOT NULL,
    parent_id uuid,
    customer_id uuid NOT NULL,
    instrument_id character varying(21) NOT NULL,
    trail_at timestamp with time zone,
    trail_peak numeric(38,18),
    realized numeric(80,36) DEFAULT 0,
    swap_accrued numeric(110,60) DEFAULT 0,
    CONSTRAINT order_close_reason_known CHECK (((close_reason)::text = ANY ('{"",manual,take_profit,stop_loss,trailing_stop,stop_out,close_all,no_margin,forbidden,gap}'::text[]))),
    CONSTRAINT order_cumulates CHECK ((((realized IS NOT NULL) AND (swap_accrued IS NOT NULL)) OR ((realized IS NULL) AND ((status)::text = ANY ('{CLOSED,CANCELLED}'::text[])) AND (swap_accrued IS NULL)))),
    CONSTRAINT order_nights_are_the_wholes CHECK (((parent_id IS NULL) OR (swap_accrued IS NULL) OR (swap_accrued = (0)::numeric))),
    CONSTRAINT order_sane CHECK (((leverage >= 1) AND (margin >= (0)::numeric) AND (quantity > (0)::numeric))),
    CONSTRAINT order_side_known CHECK (((side)::text = ANY ('{buy,sell}'::text[]))),
    CONSTRAINT order_status_complete CHECK ((((open_price IS NULL) AND (price IS NOT NULL) AND ((status)::text = 'PENDING'::text)) OR ((closed_at IS NULL) AND (open_price > (0)::numeric) AND (opened_at IS NOT NULL) AND ((status)::text = 'OPEN'::text)) OR ((close_price > (0)::numeric) AND (closed_at IS NOT NULL) AND (open_price > (0)::numeric) AND (profit IS NOT NULL) AND ((status)::text = 'CLOSED'::text)) OR ((status)::text = 'CANCELLED'::text))),
    CONSTRAINT order_status_known CHECK (((status)::text = ANY ('{PENDING,OPEN,CLOSED,CANCELLED}'::text[]))),
    CONSTRAINT order_type_known CHECK (((type)::text = ANY ('{market,limit,stop}'::text[]))),
    CONSTRAINT trades_order_leverage_check CHECK ((leverage >= 0)),
    CONSTRAINT trailing_sane CHECK (((trailing_stop IS NULL) OR (trailing_stop > (0)::numeric)))
)
WITH (fillfactor='80');

CREATE TABLE public.trades_orderevent (
    id uuid NOT NULL,
    order_id uuid,
    kind character varying(16) NOT NULL,
    command_id uuid,
    detail jsonb,
    at timestamp with time zone NOT NULL,
    customer_id uuid NOT NULL,
    CONSTRAINT order_event_kind_known CHECK (((kind)::text = ANY ('{placed,opened,changed,cancelled,reduced,closed,swapped,margin_call,margin_call_over,stop_out}'::text[])))
);

CREATE TABLE public.trades_paymentfile (
    id uuid NOT NULL,
    format character varying(7) NOT NULL,
    message_id character varying(35) NOT NULL,
    instructions_count integer NOT NULL,
    control_sums jsonb NOT NULL,
    content bytea NOT NULL,
    sha256 character varying(64) NOT NULL,
    made_at timestamp with time zone NOT NULL,
    made_by_id uuid,
    repeat_of_id uuid,
    CONSTRAINT payment_file_format_known CHECK (((format)::text = ANY ((ARRAY['pain001'::character varying, 'csv'::character varying])::text[]))),
    CONSTRAINT payment_file_has_instructions CHECK ((instructions_count > 0)),
    CONSTRAINT trades_paymentfile_instructions_count_check CHECK ((instructions_count >= 0))
);

CREATE TABLE public.trades_priceextreme (
    id uuid NOT NULL,
    partition smallint NOT NULL,
    at timestamp with time zone NOT NULL,
    highest_bid numeric(38,18) NOT NULL,
    lowest_ask numeric(38,18) NOT NULL,
    instrument_id character varying(21) NOT NULL,
    CONSTRAINT trades_priceextreme_partition_check CHECK ((partition >= 0))
);

CREATE TABLE public.trades_settlementbatch (
    id uuid NOT NULL,
    asset_kinds character varying(40) NOT NULL,
    cut_at timestamp with time zone NOT NULL,
    state character varying(20) NOT NULL,
    first_trade_id uuid,
    last_trade_id uuid,
    trades_count integer NOT NULL,
    completed_count integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    confirmed_by_id uuid,
    made_by_id uuid,
    window_id uuid,
    confirmed_at timestamp with time zone,
    confirmed_by_client_id uuid,
    customers_count integer NOT NULL,
    done_symbols character varying(20)[] NOT NULL,
    left_out_count integer NOT NULL,
    legs_are_automatic boolean NOT NULL,
    made_by_client_id uuid,
    members_sha256 character varying(64) NOT NULL,
    round smallint NOT NULL,
    round_symbols character varying(20)[] NOT NULL,
    symbols character varying(20)[] NOT NULL,
    slice_ends uuid[] NOT NULL,
    cancelled_by_id uuid,
    cancelled_by_client_id uuid,
    slices_done integer[] NOT NULL,
    has_cut_off boolean DEFAULT true NOT NULL,
    completes_in_order boolean NOT NULL,
    parts_seen jsonb NOT NULL,
    round_stops uuid[] NOT NULL,
    key character varying(128),
    CONSTRAINT batch_completes_no_more_than_it_has CHECK ((completed_count <= trades_count)),
    CONSTRAINT batch_does_no_more_slices_than_it_has CHECK ((
CASE
    WHEN (slices_done IS NULL) THEN NULL::integer
    ELSE COALESCE(array_length(slices_done, 1), 0)
END <=
CASE
    WHEN (slice_ends IS NULL) THEN NULL::integer
    ELSE COALESCE(array_length(slice_ends, 1), 0)
END)),
    CONSTRAINT batch_maker_client_is_not_checker CHECK (((made_by_client_id IS NULL) OR (confirmed_by_client_id IS NULL) OR (NOT ((made_by_client_id = confirmed_by_client_id) AND (made_by_client_id IS NOT NULL) AND (confirmed_by_client_id IS NOT NULL))))),
    CONSTRAINT batch_maker_does_not_cancel CHECK ((((made_by_id IS NULL) OR (cancelled_by_id IS NULL) OR (NOT ((made_by_id = cancelled_by_id) AND (made_by_id IS NOT NULL) AND (cancelled_by_id IS NOT NULL)))) AND ((made_by_client_id IS NULL) OR (cancelled_by_client_id IS NULL) OR (NOT ((made_by_client_id = cancelled_by_client_id) AND (made_by_client_id IS NOT NULL) AND (cancelled_by_client_id IS NOT NULL)))))),
    CONSTRAINT batch_maker_is_not_checker CHECK (((made_by_id IS NULL) OR (confirmed_by_id IS NULL) OR (NOT ((made_by_id = confirmed_by_id) AND (made_by_id IS NOT NULL) AND (confirmed_by_id IS NOT NULL))))),
    CONSTRAINT batch_state_known CHECK (((state)::text = ANY ((ARRAY['cut'::character varying, 'confirmed'::character varying, 'settling'::character varying, 'partially_settled'::character varying, 'completed'::character varying, 'cancelled'::character varying])::text[]))),
    CONSTRAINT trades_settlementbatch_completed_count_check CHECK ((completed_count >= 0)),
    CONSTRAINT trades_settlementbatch_customers_count_check CHECK ((customers_count >= 0)),
    CONSTRAINT trades_settlementbatch_left_out_count_check CHECK ((left_out_count >= 0)),
    CONSTRAINT trades_settlementbatch_round_check CHECK ((round >= 0)),
    CONSTRAINT trades_settlementbatch_trades_count_check CHECK ((trades_count >= 0))
);

CREATE TABLE public.trades_settlementinstruction (
    id uuid NOT NULL,
    reference character varying(35) NOT NULL,
    direction character varying(8) NOT NULL,
    amount numeric(38,0) NOT NULL,
    confirmed_amount numeric(38,0) NOT NULL,
    value_date date NOT NULL,
    state character varying(9) NOT NULL,
    note character varying(200) NOT NULL,
    made_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    asset_id character varying(10) NOT NULL,
    batch_id uuid,
    counterparty_id uuid NOT NULL,
    made_by_id uuid,
    made_by_client_id uuid,
    payment_file_id uuid,
    standing_id uuid NOT NULL,
    CONSTRAINT instruction_amount_not_negative CHECK ((amount >= (0)::numeric)),
    CONSTRAINT instruction_confirmed_up_to_its_amount CHECK (((confirmed_amount >= (0)::numeric) AND (confirmed_amount <= amount))),
    CONSTRAINT instruction_confirmed_when_all_has_moved CHECK ((((confirmed_amount = amount) AND ((state)::text = 'confirmed'::text)) OR ((NOT ((state)::text = 'confirmed'::text)) AND (NOT (confirmed_amount = amount))))),
    CONSTRAINT instruction_direction_known CHECK (((direction)::text = ANY ((ARRAY['incoming'::character varying, 'outgoing'::character varying])::text[]))),
    CONSTRAINT instruction_ends_with_a_reason CHECK (((NOT ((state)::text = ANY ((ARRAY['failed'::character varying, 'cancelled'::character varying])::text[]))) OR (NOT ((note)::text = ''::text)))),
    CONSTRAINT instruction_in_a_file_is_outgoing_and_sent CHECK (((payment_file_id IS NULL) OR (((direction)::text = 'outgoing'::text) AND (NOT ((state)::text = ANY ((ARRAY['made'::character varying, 'cancelled'::character varying])::text[])))))),
    CONSTRAINT instruction_state_known CHECK (((state)::text = ANY ((ARRAY['made'::character varying, 'sent'::character varying, 'confirmed'::character varying, 'failed'::character varying, 'cancelled'::character varying])::text[])))
);

CREATE TABLE public.trades_settlementleg (
    id uuid NOT NULL,
    direction character varying(8) NOT NULL,
    expected numeric(38,0) NOT NULL,
    actual numeric(38,0),
    status character varying(20) NOT NULL,
    attempts integer NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    asset_id character varying(10) NOT NULL,
    batch_id uuid NOT NULL,
    delivered numeric(38,0) NOT NULL,
    reported_by_id uuid,
    reported_by_client_id uuid,
    failure character varying(200) NOT NULL,
    fees numeric(38,0) NOT NULL,
    next_attempt_at timestamp with time zone,
    received numeric(38,0) NOT NULL,
    reference character varying(128) NOT NULL,
    settled_at timestamp with time zone,
    due_by timestamp with time zone NOT NULL,
    reason_code character varying(4) NOT NULL,
    reversals smallint NOT NULL,
    value_date date NOT NULL,
    difference numeric(38,0) GENERATED ALWAYS AS (
CASE
    WHEN ((status)::text = 'settled'::text) THEN (actual - expected)
    ELSE NULL::numeric
END) STORED,
    CONSTRAINT leg_actual_not_negative CHECK (((actual IS NULL) OR (actual >= (0)::numeric))),
    CONSTRAINT leg_direction_known CHECK (((direction)::text = ANY ((ARRAY['incoming'::character varying, 'outgoing'::character varying])::text[]))),
    CONSTRAINT leg_expected_not_negative CHECK ((expected >= (0)::numeric)),
    CONSTRAINT leg_reason_code_known CHECK (((reason_code)::text = ANY ((ARRAY[''::character varying, 'AC01'::character varying, 'AC04'::character varying, 'AC06'::character varying, 'AG01'::character varying, 'AM02'::character varying, 'AM04'::character varying, 'AM05'::character varying, 'CURR'::character varying, 'CUST'::character varying, 'DT01'::character varying, 'ED05'::character varying, 'FR01'::character varying, 'MS03'::character varying, 'RC01'::character varying, 'RR04'::character varying, 'TECH'::character varying, 'TM01'::character varying, 'AWMO'::character varying, 'AWSH'::character varying, 'BLOC'::character varying, 'CLAC'::character varying, 'CLAT'::character varying, 'CMON'::character varying, 'DKNY'::character varying, 'LACK'::character varying, 'LATE'::character varying, 'MONY'::character varying, 'OTHR'::character varying, 'NARR'::character varying])::text[]))),
    CONSTRAINT leg_settled_with_an_amount CHECK (((NOT ((status)::text = 'settled'::text)) OR (actual IS NOT NULL))),
    CONSTRAINT leg_status_known CHECK (((status)::text = ANY ((ARRAY['pending'::character varying, 'partially_settled'::character varying, 'settled'::character varying, 'failed'::character varying])::text[]))),
    CONSTRAINT trades_settlementleg_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT trades_settlementleg_reversals_check CHECK ((reversals >= 0))
);

CREATE TABLE public.trades_settlementwindow (
    id uuid NOT NULL,
    name character varying(60) NOT NULL,
    asset_kind character varying(10) NOT NULL,
    cron character varying(60) NOT NULL,
    time_zone character varying(40) NOT NULL,
    calendar character varying(10) NOT NULL,
    is_active boolean NOT NULL,
    is_automatic boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    last_cut_at timestamp with time zone,
    legs_are_automatic boolean NOT NULL,
    schedule_since timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    netting character varying(5) NOT NULL,
    waits_since timestamp with time zone,
    value_days smallint NOT NULL,
    completes_in_order boolean NOT NULL,
    CONSTRAINT trades_settlementwindow_value_days_check CHECK ((value_days >= 0)),
    CONSTRAINT window_asset_kind_known CHECK (((asset_kind)::text = ANY ((ARRAY['crypto'::character varying, 'fiat'::character varying, 'metal'::character varying])::text[]))),
    CONSTRAINT window_netting_known CHECK (((netting)::text = ANY ((ARRAY['batch'::character varying, 'day'::character varying])::text[]))),
    CONSTRAINT window_value_days_bounded CHECK ((value_days <= 30))
);

CREATE TABLE public.trades_standinginstruction (
    id uuid NOT NULL,
    state character varying(8) NOT NULL,
    kind character varying(6) NOT NULL,
    holder character varying(70) NOT NULL,
    iban character varying(34) NOT NULL,
    bic character varying(11) NOT NULL,
    bank_name character varying(70) NOT NULL,
    network character varying(20) NOT NULL,
    address character varying(100) NOT NULL,
    memo character varying(64) NOT NULL,
    is_default boolean NOT NULL,
    not_before timestamp with time zone,
    in_force_from timestamp with time zone,
    reason character varying(500) NOT NULL,
    once uuid,
    made_at timestamp with time zone NOT NULL,
    decided_at timestamp with time zone,
    asset_id character varying(10) NOT NULL,
    checked_by_id uuid,
    counterparty_id uuid NOT NULL,
    made_by_id uuid NOT NULL,
    CONSTRAINT standing_instruction_approved_by_a_checker CHECK (((NOT ((state)::text = 'approved'::text)) OR (checked_by_id IS NOT NULL))),
    CONSTRAINT standing_instruction_decided_at_a_time CHECK ((((checked_by_id IS NULL) AND (decided_at IS NULL) AND ((state)::text = 'proposed'::text)) OR ((decided_at IS NOT NULL) AND ((state)::text = ANY ((ARRAY['approved'::character varying, 'refused'::character varying])::text[]))))),
    CONSTRAINT standing_instruction_has_a_reason CHECK ((NOT ((reason)::text = ''::text))),
    CONSTRAINT standing_instruction_in_force_once_approved CHECK ((((in_force_from >= decided_at) AND ((state)::text = 'approved'::text) AND ((not_before IS NULL) OR (in_force_from >= not_before))) OR ((NOT ((state)::text = 'approved'::text)) AND (in_force_from IS NULL)))),
    CONSTRAINT standing_instruction_is_an_account_or_a_wallet CHECK (((((address)::text = ''::text) AND ((kind)::text = 'bank'::text) AND ((memo)::text = ''::text) AND ((network)::text = ''::text) AND (NOT ((holder)::text = ''::text)) AND (NOT ((iban)::text = ''::text)) AND (NOT ((bic)::text = ''::text))) OR (((bank_name)::text = ''::text) AND ((bic)::text = ''::text) AND ((holder)::text = ''::text) AND ((iban)::text = ''::text) AND ((kind)::text = 'wallet'::text) AND (NOT ((network)::text = ''::text)) AND (NOT ((address)::text = ''::text))))),
    CONSTRAINT standing_instruction_kind_known CHECK (((kind)::text = ANY ((ARRAY['bank'::character varying, 'wallet'::character varying])::text[]))),
    CONSTRAINT standing_instruction_maker_is_not_checker CHECK (((checked_by_id IS NULL) OR (NOT ((made_by_id = checked_by_id) AND (checked_by_id IS NOT NULL))))),
    CONSTRAINT standing_instruction_state_known CHECK (((state)::text = ANY ((ARRAY['proposed'::character varying, 'approved'::character varying, 'refused'::character varying])::text[])))
);

CREATE TABLE public.trades_statemententry (
    id uuid NOT NULL,
    number integer NOT NULL,
    key character varying(64) NOT NULL,
    facts character varying(64) NOT NULL,
    account character varying(100) NOT NULL,
    currency character varying(10) NOT NULL,
    amount numeric(38,0),
    amount_text character varying(40) NOT NULL,
    direction character varying(8) NOT NULL,
    bank_reference character varying(100) NOT NULL,
    names jsonb NOT NULL,
    named character varying(35) NOT NULL,
    other_account character varying(100) NOT NULL,
    booked_on date,
    state character varying(9) NOT NULL,
    reason character varying(40) NOT NULL,
    note character varying(200) NOT NULL,
    decided_at timestamp with time zone,
    asset_id character varying(10),
    decided_by_id uuid,
    decided_by_client_id uuid,
    instruction_id uuid,
    file_id uuid NOT NULL,
    CONSTRAINT entry_direction_known CHECK (((direction)::text = ANY ((ARRAY[''::character varying, 'incoming'::character varying, 'outgoing'::character varying])::text[]))),
    CONSTRAINT entry_explained_with_a_reason CHECK (((NOT ((state)::text = 'explained'::text)) OR ((NOT ((note)::text = ''::text)) AND (decided_at IS NOT NULL)))),
    CONSTRAINT entry_matched_with_an_instruction CHECK ((((amount > (0)::numeric) AND (asset_id IS NOT NULL) AND (instruction_id IS NOT NULL) AND ((state)::text = 'matched'::text)) OR ((NOT ((state)::text = 'matched'::text)) AND (instruction_id IS NULL)))),
    CONSTRAINT entry_state_known CHECK (((state)::text = ANY ((ARRAY['listed'::character varying, 'matched'::character varying, 'explained'::character varying])::text[]))),
    CONSTRAINT trades_statemententry_number_check CHECK ((number >= 0))
);

CREATE TABLE public.trades_statementfile (
    id uuid NOT NULL,
    format character varying(7) NOT NULL,
    name character varying(200) NOT NULL,
    sha256 character varying(64) NOT NULL,
    entries_count integer NOT NULL,
    made_at timestamp with time zone NOT NULL,
    made_by_id uuid,
    made_by_client_id uuid,
    CONSTRAINT statement_file_format_known CHECK (((format)::text = ANY ((ARRAY['camt053'::character varying, 'csv'::character varying])::text[]))),
    CONSTRAINT trades_statementfile_entries_count_check CHECK ((entries_count >= 0))
);

CREATE TABLE public.trades_swaprun (
    id uuid NOT NULL,
    partition smallint NOT NULL,
    night date NOT NULL,
    cutoff timestamp with time zone NOT NULL,
    prices jsonb NOT NULL,
    through_customer_id uuid,
    through_id uuid,
    orders_count integer NOT NULL,
    started_at timestamp with time zone NOT NULL,
    done_at timestamp with time zone,
    rates jsonb NOT NULL,
    CONSTRAINT trades_swaprun_orders_count_check CHECK ((orders_count >= 0)),
    CONSTRAINT trades_swaprun_partition_check CHECK ((partition >= 0))
);

CREATE TABLE public.trades_trade (
    id uuid NOT NULL,
    trade_type character varying(8) NOT NULL,
    side character varying(4) NOT NULL,
    receive_amount numeric(38,0) NOT NULL,
    deliver_amount numeric(38,0) NOT NULL,
    fee numeric(38,0) NOT NULL,
    labels character varying(64)[],
    expected_error character varying(32) NOT NULL,
    state character varying(10) NOT NULL,
    failure_code character varying(32),
    taken_from_settling numeric(38,0) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    batch_id uuid,
    customer_id uuid NOT NULL,
    deliver_asset_id character varying(10) NOT NULL,
    exiting_trade_id uuid,
    instrument_id character varying(21) NOT NULL,
    quote_id uuid NOT NULL,
    receive_asset_id character varying(10) NOT NULL,
    reference_trade_id uuid,
    external_id character varying(64),
    CONSTRAINT trade_amounts_positive CHECK (((deliver_amount > (0)::numeric) AND (fee >= (0)::numeric) AND (receive_amount > (0)::numeric))),
    CONSTRAINT trade_batched_only_while_settling CHECK ((((batch_id IS NULL) AND ((state)::text = ANY ((ARRAY['storing'::character varying, 'settling'::character varying, 'failed'::character varying])::text[]))) OR ((batch_id IS NOT NULL) AND ((state)::text = ANY ((ARRAY['settling'::character varying, 'completed'::character varying])::text[]))))),
    CONSTRAINT trade_exit_names_its_original CHECK ((((exiting_trade_id IS NULL) AND (reference_trade_id IS NULL) AND ((trade_type)::text = 'platform'::text)) OR ((reference_trade_id IS NOT NULL) AND ((state)::text = ANY ((ARRAY['storing'::character varying, 'failed'::character varying])::text[])) AND ((trade_type)::text = 'exit'::text) AND (exiting_trade_id IS NULL)) OR ((exiting_trade_id = reference_trade_id) AND ((state)::text = ANY ((ARRAY['settling'::character varying, 'completed'::character varying])::text[])) AND ((trade_type)::text = 'exit'::text)))),
    CONSTRAINT trade_failed_with_a_code CHECK ((((failure_code IS NULL) AND ((state)::text = ANY ((ARRAY['storing'::character varying, 'settling'::character varying, 'completed'::character varying])::text[]))) OR ((failure_code IS NOT NULL) AND ((state)::text = 'failed'::text)))),
    CONSTRAINT trade_failure_code_known CHECK (((failure_code)::text = ANY ((ARRAY['expired_quote'::character varying, 'non_sufficient_funds'::character varying, 'invalid_reference_trade'::character varying, 'market_volatility'::character varying, 'limit_exceeded'::character varying, 'unsupported'::character varying])::text[]))),
    CONSTRAINT trade_side_known CHECK (((side)::text = ANY ((ARRAY['buy'::character varying, 'sell'::character varying])::text[]))),
    CONSTRAINT trade_state_known CHECK (((state)::text = ANY ((ARRAY['storing'::character varying, 'settling'::character varying, 'completed'::character varying, 'failed'::character varying])::text[]))),
    CONSTRAINT trade_takes_no_more_than_it_delivers CHECK (((taken_from_settling >= (0)::numeric) AND (taken_from_settling <= deliver_amount))),
    CONSTRAINT trade_trade_type_known CHECK (((trade_type)::text = ANY ((ARRAY['platform'::character varying, 'exit'::character varying])::text[])))
)
WITH (fillfactor='40');

CREATE TABLE public.trades_tradeevent (
    id uuid NOT NULL,
    became character varying(10) NOT NULL,
    detail character varying(64) NOT NULL,
    at timestamp with time zone NOT NULL,
    customer_id uuid NOT NULL,
    trade_id uuid NOT NULL,
    request_id character varying(128),
    CONSTRAINT trade_event_became_known CHECK (((became)::text = ANY ((ARRAY['storing'::character varying, 'settling'::character varying, 'completed'::character varying, 'failed'::character varying, 'reversed'::character varying])::text[])))
);

CREATE TABLE public.trades_tradeflag (
    id uuid NOT NULL,
    reason character varying(200) NOT NULL,
    flagged_at timestamp with time zone NOT NULL,
    cleared_at timestamp with time zone,
    cleared_by_id uuid,
    flagged_by_id uuid,
    trade_id uuid NOT NULL
);

ALTER TABLE ONLY public.trades_leftout
    ADD CONSTRAINT left_out_of_a_batch_once UNIQUE (batch_id, trade_id);

ALTER TABLE ONLY public.trades_idempotentanswer
    ADD CONSTRAINT one_answer_per_key UNIQUE (customer_id, key);

ALTER TABLE ONLY public.trades_settlementbatch
    ADD CONSTRAINT one_batch_per_key UNIQUE (key);

ALTER TABLE ONLY public.trades_settlementbatch
    ADD CONSTRAINT one_batch_per_window_and_cut UNIQUE (window_id, cut_at);

ALTER TABLE ONLY public.trades_statemententry
    ADD CONSTRAINT one_entry_per_place UNIQUE (file_id, number);

ALTER TABLE ONLY public.trades_tradeevent
    ADD CONSTRAINT one_event_per_step UNIQUE (trade_id, became);

ALTER TABLE ONLY public.trades_priceextreme
    ADD CONSTRAINT one_extreme_per_beginning UNIQUE (partition, instrument_id, at);

ALTER TABLE ONLY public.trades_settlementleg
    ADD CONSTRAINT one_leg_per_asset UNIQUE (batch_id, asset_id);

ALTER TABLE ONLY public.trades_deal
    ADD CONSTRAINT one_opening_and_one_closing_deal UNIQUE (order_id, kind);

ALTER TABLE ONLY public.trades_swaprun
    ADD CONSTRAINT one_swap_run_per_night UNIQUE (partition, night);

ALTER TABLE ONLY public.trades_order
    ADD CONSTRAINT order_code_unique UNIQUE (customer_id, code);

ALTER TABLE ONLY public.trades_batchevent
    ADD CONSTRAINT trades_batchevent_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trades_correction
    ADD CONSTRAINT trades_correction_once_key UNIQUE (once);

ALTER TABLE ONLY public.trades_correction
    ADD CONSTRAINT trades_correction_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trades_counterparty
    ADD CONSTRAINT trades_counterparty_name_key UNIQUE (name);

ALTER TABLE ONLY public.trades_counterparty
    ADD CONSTRAINT trades_counterparty_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trades_deal
    ADD CONSTRAINT trades_deal_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trades_enginelease
    ADD CONSTRAINT trades_enginelease_pkey PRIMARY KEY (partition);

ALTER TABLE ONLY public.trades_erasure
    ADD CONSTRAINT trades_erasure_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trades_idempotentanswer
    ADD CONSTRAINT trades_idempotentanswer_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trades_instructionleg
    ADD CONSTRAINT trades_instructionleg_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trades_leftout
    ADD CONSTRAINT trades_leftout_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trades_legreference
    ADD CONSTRAINT trades_legreference_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.trades_legreport
    ADD CONSTRAINT trades_legreport_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trades_lowwater
    ADD CONSTRAINT trades_lowwater_pkey PRIMARY KEY (kind);

ALTER TABLE ONLY public.trades_marginaccount
    ADD CONSTRAINT trades_marginaccount_pkey PRIMARY KEY (customer_id);

ALTER TABLE ONLY public.trades_order
    ADD CONSTRAINT trades_order_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trades_orderevent
    ADD CONSTRAINT trades_orderevent_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trades_paymentfile
    ADD CONSTRAINT trades_paymentfile_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trades_priceextreme
    ADD CONSTRAINT trades_priceextreme_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trades_settlementbatch
    ADD CONSTRAINT trades_settlementbatch_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trades_settlementinstruction
    ADD CONSTRAINT trades_settlementinstruction_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trades_settlementinstruction
    ADD CONSTRAINT trades_settlementinstruction_reference_key UNIQUE (reference);

ALTER TABLE ONLY public.trades_settlementleg
    ADD CONSTRAINT trades_settlementleg_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trades_settlementwindow
    ADD CONSTRAINT trades_settlementwindow_name_key UNIQUE (name);

ALTER TABLE ONLY public.trades_settlementwindow
    ADD CONSTRAINT trades_settlementwindow_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trades_standinginstruction
    ADD CONSTRAINT trades_standinginstruction_once_key UNIQUE (once);

ALTER TABLE ONLY public.trades_standinginstruction
    ADD CONSTRAINT trades_standinginstruction_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trades_statemententry
    ADD CONSTRAINT trades_statemententry_key_key UNIQUE (key);

ALTER TABLE ONLY public.trades_statemententry
    ADD CONSTRAINT trades_statemententry_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trades_statementfile
    ADD CONSTRAINT trades_statementfile_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trades_statementfile
    ADD CONSTRAINT trades_statementfile_sha256_key UNIQUE (sha256);

ALTER TABLE ONLY public.trades_swaprun
    ADD CONSTRAINT trades_swaprun_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trades_trade
    ADD CONSTRAINT trades_trade_exiting_trade_id_key UNIQUE (exiting_trade_id);

ALTER TABLE ONLY public.trades_trade
    ADD CONSTRAINT trades_trade_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trades_trade
    ADD CONSTRAINT trades_trade_quote_id_key UNIQUE (quote_id);

ALTER TABLE ONLY public.trades_tradeevent
    ADD CONSTRAINT trades_tradeevent_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trades_tradeflag
    ADD CONSTRAINT trades_tradeflag_pkey PRIMARY KEY (id);

CREATE UNIQUE INDEX a_batch_is_reversed_once ON public.trades_correction USING btree (subject) WHERE (((kind)::text = 'reverse_batch'::text) AND ((state)::text = ANY ((ARRAY['applying'::character varying, 'applied'::character varying])::text[])));

CREATE INDEX batch_event_by_batch ON public.trades_batchevent USING btree (batch_id, at);

CREATE UNIQUE INDEX client_order_id_unique ON public.trades_order USING btree (customer_id, client_order_id) WHERE (client_order_id IS NOT NULL);

CREATE INDEX entry_by_instruction ON public.trades_statemententry USING btree (instruction_id) WHERE ((state)::text = 'matched'::text);

CREATE INDEX entry_listed ON public.trades_statemententry USING btree (id) WHERE ((state)::text = 'listed'::text);

CREATE INDEX flags_by_trade ON public.trades_tradeflag USING btree (trade_id, id);

CREATE INDEX instruction_by_value_date ON public.trades_settlementinstruction USING btree (value_date, id);

CREATE INDEX instruction_open ON public.trades_settlementinstruction USING btree (id) WHERE ((state)::text = ANY ((ARRAY['made'::character varying, 'sent'::character varying])::text[]));

CREATE INDEX left_out_by_trade ON public.trades_leftout USING btree (trade_id, id);

CREATE INDEX leg_not_settled ON public.trades_settlementleg USING btree (id) WHERE (NOT ((status)::text = 'settled'::text));

CREATE INDEX leg_not_settled_by_due ON public.trades_settlementleg USING btree (due_by) WHERE (NOT ((status)::text = 'settled'::text));

CREATE INDEX leg_report_by_leg ON public.trades_legreport USING btree (leg_id, id);

CREATE UNIQUE INDEX one_counterparty_per_lei ON public.trades_counterparty USING btree (lei) WHERE (NOT ((lei)::text = ''::text));

CREATE UNIQUE INDEX one_erasure_per_customer ON public.trades_erasure USING btree (customer_id) WHERE ((state)::text = ANY ((ARRAY['proposed'::character varying, 'done'::character varying])::text[]));

CREATE UNIQUE INDEX one_funding_per_reference ON public.trades_correction USING btree (reference) WHERE (((kind)::text = ANY ((ARRAY['deposit'::character varying, 'withdrawal'::character varying, 'capital_in'::character varying, 'profit_out'::character varying, 'fees_out'::character varying])::text[])) AND ((state)::text = ANY ((ARRAY['proposed'::character varying, 'applied'::character varying])::text[])));

CREATE UNIQUE INDEX one_live_instruction_per_leg ON public.trades_instructionleg USING btree (leg_id) WHERE is_live;

CREATE UNIQUE INDEX one_open_flag_per_trade ON public.trades_tradeflag USING btree (trade_id) WHERE (cleared_at IS NULL);

CREATE UNIQUE INDEX one_open_proposal_per_subject ON public.trades_correction USING btree (kind, subject) WHERE (((state)::text = ANY ((ARRAY['proposed'::character varying, 'applying'::character varying])::text[])) AND (subject IS NOT NULL));

CREATE UNIQUE INDEX one_open_standing_instruction ON public.trades_standinginstruction USING btree (counterparty_id, asset_id) WHERE ((state)::text = 'proposed'::text);

CREATE UNIQUE INDEX one_order_per_command ON public.trades_order USING btree (customer_id, command_id) WHERE (command_id IS NOT NULL);

CREATE UNIQUE INDEX one_payment_file_per_message_id ON public.trades_paymentfile USING btree (message_id) WHERE (repeat_of_id IS NULL);

CREATE UNIQUE INDEX one_report_per_attempt ON public.trades_legreport USING btree (leg_id, number) WHERE ((kind)::text = ANY ((ARRAY['part'::character varying, 'settled'::character varying, 'failed'::character varying])::text[]));

CREATE UNIQUE INDEX one_report_per_reference ON public.trades_legreport USING btree (leg_id, reversals, upper(replace((reference)::text, ' '::text, ''::text))) WHERE ((amount IS NOT NULL) AND (NOT ((reference)::text = ''::text)));

CREATE INDEX order_event_by_customer ON public.trades_orderevent USING btree (customer_id, id);

CREATE INDEX order_history ON public.trades_order USING btree (customer_id, closed_at, id) WHERE ((status)::text = 'CLOSED'::text);

CREATE INDEX order_live ON public.trades_order USING btree (customer_id, id) WHERE ((status)::text = ANY ((ARRAY['OPEN'::character varying, 'PENDING'::character varying])::text[]));

CREATE INDEX standing_instruction_in_force ON public.trades_standinginstruction USING btree (asset_id, counterparty_id, in_force_from) WHERE ((state)::text = 'approved'::text);

CREATE UNIQUE INDEX the_firm_is_one_counterparty ON public.trades_counterparty USING btree (is_own) WHERE is_own;

CREATE INDEX trade_by_customer ON public.trades_trade USING btree (customer_id, id);

CREATE INDEX trade_by_external_id ON public.trades_trade USING btree (external_id, id) WHERE (external_id IS NOT NULL);

CREATE INDEX trade_by_failure ON public.trades_trade USING btree (failure_code, id) WHERE (failure_code IS NOT NULL);

CREATE INDEX trade_by_label ON public.trades_trade USING gin (labels) WHERE (labels IS NOT NULL);

CREATE INDEX trade_by_reference ON public.trades_trade USING btree (reference_trade_id, id) WHERE (reference_trade_id IS NOT NULL);

CREATE INDEX trade_events_of_reversal ON public.trades_tradeevent USING btree (detail, trade_id) WHERE ((became)::text = 'reversed'::text);

CREATE INDEX trades_counterparty_name_51988909_like ON public.trades_counterparty USING btree (name varchar_pattern_ops);

CREATE INDEX trades_erasure_customer_id_f693d4e9 ON public.trades_erasure USING btree (customer_id);

CREATE INDEX trades_instructionleg_instruction_id_d25c3263 ON public.trades_instructionleg USING btree (instruction_id);

CREATE INDEX trades_legreference_key_a42ff116_like ON public.trades_legreference USING btree (key varchar_pattern_ops);

CREATE INDEX trades_lowwater_kind_879be749_like ON public.trades_lowwater USING btree (kind varchar_pattern_ops);

CREATE INDEX trades_settlementbatch_confirmed_by_id_c26b916f ON public.trades_settlementbatch USING btree (confirmed_by_id);

CREATE INDEX trades_settlementbatch_made_by_id_dfbdb8ef ON public.trades_settlementbatch USING btree (made_by_id);

CREATE INDEX trades_settlementinstruction_batch_id_5c18982e ON public.trades_settlementinstruction USING btree (batch_id);

CREATE INDEX trades_settlementinstruction_payment_file_id_f67ac65c ON public.trades_settlementinstruction USING btree (payment_file_id);

CREATE INDEX trades_settlementinstruction_reference_42c47f5e_like ON public.trades_settlementinstruction USING btree (reference varchar_pattern_ops);

CREATE INDEX trades_settlementwindow_name_2762127e_like ON public.trades_settlementwindow USING btree (name varchar_pattern_ops);

CREATE INDEX trades_statemententry_file_id_941e8651 ON public.trades_statemententry USING btree (file_id);

CREATE INDEX trades_statemententry_key_0502f887_like ON public.trades_statemententry USING btree (key varchar_pattern_ops);

CREATE INDEX trades_statementfile_sha256_14c18478_like ON public.trades_statementfile USING btree (sha256 varchar_pattern_ops);

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.quotes_quote FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.trades_batchevent FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.trades_deal FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.trades_idempotentanswer FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.trades_leftout FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.trades_legreference FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.trades_legreport FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.trades_orderevent FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.trades_paymentfile FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.trades_statementfile FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.trades_tradeevent FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER cancelled_by_a_second BEFORE UPDATE ON public.trades_settlementbatch FOR EACH ROW WHEN ((((old.state)::text <> 'cancelled'::text) AND ((new.state)::text = 'cancelled'::text) AND ((new.made_by_id IS NOT NULL) OR (new.made_by_client_id IS NOT NULL)) AND (new.cancelled_by_id IS NULL) AND (new.cancelled_by_client_id IS NULL))) EXECUTE FUNCTION public.refuse_alone();

CREATE TRIGGER claim_reference BEFORE INSERT ON public.trades_legreport FOR EACH ROW WHEN (((new.reference)::text <> ''::text)) EXECUTE FUNCTION public.claim_leg_reference();

CREATE TRIGGER confirmed_by_a_second BEFORE UPDATE ON public.trades_settlementbatch FOR EACH ROW WHEN ((((old.state)::text = 'cut'::text) AND ((new.state)::text = 'confirmed'::text) AND ((new.made_by_id IS NOT NULL) OR (new.made_by_client_id IS NOT NULL)) AND (new.confirmed_by_id IS NULL) AND (new.confirmed_by_client_id IS NULL))) EXECUTE FUNCTION public.refuse_alone();

CREATE TRIGGER confirmed_once_sent BEFORE UPDATE ON public.trades_settlementinstruction FOR EACH ROW WHEN (((new.confirmed_amount < old.confirmed_amount) OR ((new.confirmed_amount > old.confirmed_amount) AND ((old.state)::text <> 'sent'::text) AND (((old.state)::text <> 'made'::text) OR ((old.direction)::text = 'outgoing'::text))))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER dated BEFORE UPDATE ON public.trades_correction FOR EACH ROW WHEN (((new.updated_at <= old.updated_at) AND (new.* IS DISTINCT FROM old.*))) EXECUTE FUNCTION public.date_step();

CREATE TRIGGER dated BEFORE UPDATE ON public.trades_settlementbatch FOR EACH ROW WHEN (((new.updated_at <= old.updated_at) AND (new.* IS DISTINCT FROM old.*))) EXECUTE FUNCTION public.date_step();

CREATE TRIGGER decided_for_good BEFORE UPDATE ON public.trades_erasure FOR EACH ROW WHEN (((old.state)::text <> 'proposed'::text)) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER decided_for_good BEFORE UPDATE ON public.trades_standinginstruction FOR EACH ROW WHEN (((old.state)::text <> 'proposed'::text)) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER decided_for_good BEFORE UPDATE ON public.trades_statemententry FOR EACH ROW WHEN (((old.state)::text <> 'listed'::text)) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER decimals_wait BEFORE UPDATE OF price_decimals, quantity_decimals ON public.quotes_instrument FOR EACH ROW WHEN (((new.price_decimals <> old.price_decimals) OR (new.quantity_decimals <> old.quantity_decimals))) EXECUTE FUNCTION public.refuse_while_open();

CREATE TRIGGER ended_for_good AFTER UPDATE ON public.trades_order FOR EACH ROW WHEN (((old.status)::text = ANY ((ARRAY['CLOSED'::character varying, 'CANCELLED'::character varying])::text[]))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER ended_for_good BEFORE UPDATE ON public.trades_settlementinstruction FOR EACH ROW WHEN (((old.state)::text = ANY ((ARRAY['confirmed'::character varying, 'failed'::character varying, 'cancelled'::character varying])::text[]))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER erased_by_two BEFORE UPDATE OF erased_at ON public.accounts_customer FOR EACH ROW WHEN (((old.erased_at IS NULL) AND (new.erased_at IS NOT NULL))) EXECUTE FUNCTION public.erased_by_two();

CREATE TRIGGER erased_with_customer BEFORE DELETE ON public.accounts_customerdetails FOR EACH ROW EXECUTE FUNCTION public.details_erased_with_customer();

CREATE TRIGGER filed_once BEFORE UPDATE ON public.trades_settlementinstruction FOR EACH ROW WHEN (((old.payment_file_id IS NOT NULL) AND (new.payment_file_id IS DISTINCT FROM old.payment_file_id))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER flagged_once BEFORE UPDATE ON public.trades_tradeflag FOR EACH ROW WHEN (((new.id <> old.id) OR (new.trade_id <> old.trade_id) OR ((new.reason)::text <> (old.reason)::text) OR (new.flagged_by_id IS DISTINCT FROM old.flagged_by_id) OR (new.flagged_at <> old.flagged_at) OR (old.cleared_at IS NOT NULL))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER goes_on_as_decided BEFORE UPDATE ON public.trades_correction FOR EACH ROW WHEN ((((old.state)::text = 'applying'::text) AND ((new.checked_by_id IS DISTINCT FROM old.checked_by_id) OR (new.checked_by_client_id IS DISTINCT FROM old.checked_by_client_id) OR (new.decided_at IS DISTINCT FROM old.decided_at) OR (new.trades_count <> old.trades_count) OR (new.slice_ends <> old.slice_ends) OR (new.trades_done < old.trades_done) OR (new.slices_done < old.slices_done) OR (new.movements_count < old.movements_count)))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER goes_where_agreed BEFORE INSERT ON public.trades_settlementinstruction FOR EACH ROW EXECUTE FUNCTION public.goes_where_agreed();

CREATE TRIGGER legal_moves BEFORE UPDATE ON public.trades_correction FOR EACH ROW WHEN ((((old.state)::text <> (new.state)::text) AND (NOT ((((old.state)::text = 'proposed'::text) AND ((new.state)::text = ANY ((ARRAY['applying'::character varying, 'applied'::character varying, 'rejected'::character varying])::text[]))) OR (((old.state)::text = 'applying'::text) AND ((new.state)::text = 'applied'::text)))))) EXECUTE FUNCTION public.refuse_move('state');

CREATE TRIGGER legal_moves AFTER UPDATE ON public.trades_order FOR EACH ROW WHEN ((((old.status)::text <> (new.status)::text) AND (NOT ((((old.status)::text = 'PENDING'::text) AND ((new.status)::text = ANY (ARRAY[('OPEN'::character varying)::text, ('CANCELLED'::character varying)::text]))) OR (((old.status)::text = 'OPEN'::text) AND ((new.status)::text = 'CLOSED'::text)))))) EXECUTE FUNCTION public.refuse_move('status');

CREATE TRIGGER legal_moves BEFORE UPDATE ON public.trades_settlementbatch FOR EACH ROW WHEN ((((old.state)::text <> (new.state)::text) AND (NOT ((((old.state)::text = 'cut'::text) AND ((new.state)::text = ANY ((ARRAY['confirmed'::character varying, 'cancelled'::character varying])::text[]))) OR (((old.state)::text = 'confirmed'::text) AND ((new.state)::text = ANY ((ARRAY['settling'::character varying, 'cancelled'::character varying])::text[]))) OR (((old.state)::text = 'settling'::text) AND ((new.state)::text = ANY ((ARRAY['partially_settled'::character varying, 'completed'::character varying])::text[]))) OR (((old.state)::text = 'partially_settled'::text) AND ((new.state)::text = ANY ((ARRAY['settling'::character varying, 'completed'::character varying])::text[]))))))) EXECUTE FUNCTION public.refuse_move('state');

CREATE TRIGGER legal_moves BEFORE UPDATE ON public.trades_settlementinstruction FOR EACH ROW WHEN ((((old.state)::text <> (new.state)::text) AND (NOT ((((old.state)::text = 'made'::text) AND ((new.state)::text = ANY ((ARRAY['sent'::character varying, 'confirmed'::character varying, 'failed'::character varying, 'cancelled'::character varying])::text[]))) OR (((old.state)::text = 'sent'::text) AND ((new.state)::text = ANY ((ARRAY['confirmed'::character varying, 'failed'::character varying])::text[]))))))) EXECUTE FUNCTION public.refuse_move('state');

CREATE TRIGGER legal_moves BEFORE UPDATE ON public.trades_settlementleg FOR EACH ROW WHEN ((((old.status)::text <> (new.status)::text) AND (NOT ((((old.status)::text = 'pending'::text) AND ((new.status)::text = ANY ((ARRAY['partially_settled'::character varying, 'settled'::character varying, 'failed'::character varying])::text[]))) OR (((old.status)::text = 'failed'::text) AND ((new.status)::text = ANY ((ARRAY['pending'::character varying, 'partially_settled'::character varying, 'settled'::character varying])::text[]))) OR (((old.status)::text = 'partially_settled'::text) AND ((new.status)::text = ANY ((ARRAY['settled'::character varying, 'failed'::character varying, 'pending'::character varying])::text[]))) OR (((old.status)::text = 'settled'::text) AND ((new.status)::text = 'pending'::text)))))) EXECUTE FUNCTION public.refuse_move('status');

CREATE TRIGGER legal_moves AFTER UPDATE ON public.trades_trade FOR EACH ROW WHEN ((((old.state)::text <> (new.state)::text) AND (NOT ((((old.state)::text = 'storing'::text) AND ((new.state)::text = ANY (ARRAY[('settling'::character varying)::text, ('failed'::character varying)::text]))) OR (((old.state)::text = 'settling'::text) AND ((new.state)::text = 'completed'::text)))))) EXECUTE FUNCTION public.refuse_move('state');

CREATE TRIGGER made_once BEFORE UPDATE ON public.trades_settlementbatch FOR EACH ROW WHEN (((new.id <> old.id) OR (new.cut_at <> old.cut_at) OR (new.window_id IS DISTINCT FROM old.window_id) OR (new.made_by_id IS DISTINCT FROM old.made_by_id) OR (new.made_by_client_id IS DISTINCT FROM old.made_by_client_id) OR (((old.members_sha256)::text <> ''::text) AND ((new.members_sha256)::text <> (old.members_sha256)::text)) OR (((old.state)::text <> 'cut'::text) AND ((new.confirmed_by_id IS DISTINCT FROM old.confirmed_by_id) OR (new.confirmed_by_client_id IS DISTINCT FROM old.confirmed_by_client_id))))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER made_unconfirmed BEFORE INSERT ON public.trades_settlementbatch FOR EACH ROW WHEN ((((new.state)::text <> 'cut'::text) OR (new.confirmed_by_id IS NOT NULL) OR (new.confirmed_by_client_id IS NOT NULL))) EXECUTE FUNCTION public.refuse_alone();

CREATE TRIGGER mark_made_ten_minutes_back BEFORE INSERT ON public.trades_lowwater FOR EACH ROW WHEN ((new.mark > public.highest_low_water())) EXECUTE FUNCTION public.refuse_mark();

CREATE TRIGGER mark_stays_ten_minutes_back BEFORE UPDATE ON public.trades_lowwater FOR EACH ROW WHEN (((new.mark > old.mark) AND (new.mark > public.highest_low_water()))) EXECUTE FUNCTION public.refuse_mark();

CREATE TRIGGER membership_is_frozen AFTER UPDATE ON public.trades_trade FOR EACH ROW WHEN (((old.batch_id IS NOT NULL) AND (new.batch_id IS DISTINCT FROM old.batch_id) AND ((new.batch_id IS NOT NULL) OR ((old.state)::text <> 'settling'::text) OR ((new.state)::text <> 'settling'::text)))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_changed AFTER UPDATE OF id, kind, subject, customer_id, asset_id, amount, direction, reason, reference, needs_checker, made_by_id, made_by_client_id, made_at ON public.trades_correction FOR EACH ROW WHEN (((new.id IS DISTINCT FROM old.id) OR ((new.kind)::text IS DISTINCT FROM (old.kind)::text) OR (new.subject IS DISTINCT FROM old.subject) OR (new.customer_id IS DISTINCT FROM old.customer_id) OR ((new.asset_id)::text IS DISTINCT FROM (old.asset_id)::text) OR (new.amount IS DISTINCT FROM old.amount) OR ((new.direction)::text IS DISTINCT FROM (old.direction)::text) OR ((new.reason)::text IS DISTINCT FROM (old.reason)::text) OR ((new.reference)::text IS DISTINCT FROM (old.reference)::text) OR (new.needs_checker IS DISTINCT FROM old.needs_checker) OR (new.made_by_id IS DISTINCT FROM old.made_by_id) OR (new.made_by_client_id IS DISTINCT FROM old.made_by_client_id) OR (new.made_at IS DISTINCT FROM old.made_at))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_changed AFTER UPDATE OF id, name, lei, is_own, made_by_id, made_at ON public.trades_counterparty FOR EACH ROW WHEN (((new.id IS DISTINCT FROM old.id) OR ((new.name)::text IS DISTINCT FROM (old.name)::text) OR ((new.lei)::text IS DISTINCT FROM (old.lei)::text) OR (new.is_own IS DISTINCT FROM old.is_own) OR (new.made_by_id IS DISTINCT FROM old.made_by_id) OR (new.made_at IS DISTINCT FROM old.made_at))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_changed AFTER UPDATE OF id, customer_id, reason, made_by_id, made_at ON public.trades_erasure FOR EACH ROW WHEN (((new.id IS DISTINCT FROM old.id) OR (new.customer_id IS DISTINCT FROM old.customer_id) OR ((new.reason)::text IS DISTINCT FROM (old.reason)::text) OR (new.made_by_id IS DISTINCT FROM old.made_by_id) OR (new.made_at IS DISTINCT FROM old.made_at))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_changed AFTER UPDATE OF id, instruction_id, leg_id, direction, amount ON public.trades_instructionleg FOR EACH ROW WHEN (((new.id IS DISTINCT FROM old.id) OR (new.instruction_id IS DISTINCT FROM old.instruction_id) OR (new.leg_id IS DISTINCT FROM old.leg_id) OR ((new.direction)::text IS DISTINCT FROM (old.direction)::text) OR (new.amount IS DISTINCT FROM old.amount))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_changed AFTER UPDATE OF id, customer_id, code, client_order_id, command_id, instrument_id, side, type, leverage, created_at, parent_id ON public.trades_order FOR EACH ROW WHEN (((new.id IS DISTINCT FROM old.id) OR (new.customer_id IS DISTINCT FROM old.customer_id) OR ((new.code)::text IS DISTINCT FROM (old.code)::text) OR ((new.client_order_id)::text IS DISTINCT FROM (old.client_order_id)::text) OR (new.command_id IS DISTINCT FROM old.command_id) OR ((new.instrument_id)::text IS DISTINCT FROM (old.instrument_id)::text) OR ((new.side)::text IS DISTINCT FROM (old.side)::text) OR ((new.type)::text IS DISTINCT FROM (old.type)::text) OR (new.leverage IS DISTINCT FROM old.leverage) OR (new.created_at IS DISTINCT FROM old.created_at) OR (new.parent_id IS DISTINCT FROM old.parent_id))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_changed AFTER UPDATE OF id, window_id, asset_kinds, cut_at, has_cut_off, legs_are_automatic, completes_in_order, made_by_id, made_by_client_id, created_at, key ON public.trades_settlementbatch FOR EACH ROW WHEN (((new.id IS DISTINCT FROM old.id) OR (new.window_id IS DISTINCT FROM old.window_id) OR ((new.asset_kinds)::text IS DISTINCT FROM (old.asset_kinds)::text) OR (new.cut_at IS DISTINCT FROM old.cut_at) OR (new.has_cut_off IS DISTINCT FROM old.has_cut_off) OR (new.legs_are_automatic IS DISTINCT FROM old.legs_are_automatic) OR (new.completes_in_order IS DISTINCT FROM old.completes_in_order) OR (new.made_by_id IS DISTINCT FROM old.made_by_id) OR (new.made_by_client_id IS DISTINCT FROM old.made_by_client_id) OR (new.created_at IS DISTINCT FROM old.created_at) OR ((new.key)::text IS DISTINCT FROM (old.key)::text))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_changed AFTER UPDATE OF id, reference, counterparty_id, standing_id, asset_id, batch_id, direction, amount, value_date, made_by_id, made_by_client_id, made_at ON public.trades_settlementinstruction FOR EACH ROW WHEN (((new.id IS DISTINCT FROM old.id) OR ((new.reference)::text IS DISTINCT FROM (old.reference)::text) OR (new.counterparty_id IS DISTINCT FROM old.counterparty_id) OR (new.standing_id IS DISTINCT FROM old.standing_id) OR ((new.asset_id)::text IS DISTINCT FROM (old.asset_id)::text) OR (new.batch_id IS DISTINCT FROM old.batch_id) OR ((new.direction)::text IS DISTINCT FROM (old.direction)::text) OR (new.amount IS DISTINCT FROM old.amount) OR (new.value_date IS DISTINCT FROM old.value_date) OR (new.made_by_id IS DISTINCT FROM old.made_by_id) OR (new.made_by_client_id IS DISTINCT FROM old.made_by_client_id) OR (new.made_at IS DISTINCT FROM old.made_at))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_changed AFTER UPDATE OF id, batch_id, asset_id, value_date, due_by ON public.trades_settlementleg FOR EACH ROW WHEN (((new.id IS DISTINCT FROM old.id) OR (new.batch_id IS DISTINCT FROM old.batch_id) OR ((new.asset_id)::text IS DISTINCT FROM (old.asset_id)::text) OR (new.value_date IS DISTINCT FROM old.value_date) OR (new.due_by IS DISTINCT FROM old.due_by))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_changed AFTER UPDATE OF id, asset_kind, created_at ON public.trades_settlementwindow FOR EACH ROW WHEN (((new.id IS DISTINCT FROM old.id) OR ((new.asset_kind)::text IS DISTINCT FROM (old.asset_kind)::text) OR (new.created_at IS DISTINCT FROM old.created_at))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_changed AFTER UPDATE OF id, counterparty_id, asset_id, kind, holder, iban, bic, bank_name, network, address, memo, is_default, not_before, reason, once, made_by_id, made_at ON public.trades_standinginstruction FOR EACH ROW WHEN (((new.id IS DISTINCT FROM old.id) OR (new.counterparty_id IS DISTINCT FROM old.counterparty_id) OR ((new.asset_id)::text IS DISTINCT FROM (old.asset_id)::text) OR ((new.kind)::text IS DISTINCT FROM (old.kind)::text) OR ((new.holder)::text IS DISTINCT FROM (old.holder)::text) OR ((new.iban)::text IS DISTINCT FROM (old.iban)::text) OR ((new.bic)::text IS DISTINCT FROM (old.bic)::text) OR ((new.bank_name)::text IS DISTINCT FROM (old.bank_name)::text) OR ((new.network)::text IS DISTINCT FROM (old.network)::text) OR ((new.address)::text IS DISTINCT FROM (old.address)::text) OR ((new.memo)::text IS DISTINCT FROM (old.memo)::text) OR (new.is_default IS DISTINCT FROM old.is_default) OR (new.not_before IS DISTINCT FROM old.not_before) OR ((new.reason)::text IS DISTINCT FROM (old.reason)::text) OR (new.once IS DISTINCT FROM old.once) OR (new.made_by_id IS DISTINCT FROM old.made_by_id) OR (new.made_at IS DISTINCT FROM old.made_at))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_changed AFTER UPDATE OF id, file_id, number, key, facts, account, asset_id, currency, amount, amount_text, direction, bank_reference, names, named, other_account, booked_on ON public.trades_statemententry FOR EACH ROW WHEN (((new.id IS DISTINCT FROM old.id) OR (new.file_id IS DISTINCT FROM old.file_id) OR (new.number IS DISTINCT FROM old.number) OR ((new.key)::text IS DISTINCT FROM (old.key)::text) OR ((new.facts)::text IS DISTINCT FROM (old.facts)::text) OR ((new.account)::text IS DISTINCT FROM (old.account)::text) OR ((new.asset_id)::text IS DISTINCT FROM (old.asset_id)::text) OR ((new.currency)::text IS DISTINCT FROM (old.currency)::text) OR (new.amount IS DISTINCT FROM old.amount) OR ((new.amount_text)::text IS DISTINCT FROM (old.amount_text)::text) OR ((new.direction)::text IS DISTINCT FROM (old.direction)::text) OR ((new.bank_reference)::text IS DISTINCT FROM (old.bank_reference)::text) OR (new.names IS DISTINCT FROM old.names) OR ((new.named)::text IS DISTINCT FROM (old.named)::text) OR ((new.other_account)::text IS DISTINCT FROM (old.other_account)::text) OR (new.booked_on IS DISTINCT FROM old.booked_on))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_changed AFTER UPDATE OF id, partition, night, cutoff, prices, rates, started_at ON public.trades_swaprun FOR EACH ROW WHEN (((new.id IS DISTINCT FROM old.id) OR (new.partition IS DISTINCT FROM old.partition) OR (new.night IS DISTINCT FROM old.night) OR (new.cutoff IS DISTINCT FROM old.cutoff) OR (new.prices IS DISTINCT FROM old.prices) OR (new.rates IS DISTINCT FROM old.rates) OR (new.started_at IS DISTINCT FROM old.started_at))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_changed AFTER UPDATE OF id, customer_id, quote_id, trade_type, instrument_id, side, receive_asset_id, deliver_asset_id, receive_amount, deliver_amount, fee, expected_error, reference_trade_id, created_at, external_id ON public.trades_trade FOR EACH ROW WHEN (((new.id IS DISTINCT FROM old.id) OR (new.customer_id IS DISTINCT FROM old.customer_id) OR (new.quote_id IS DISTINCT FROM old.quote_id) OR ((new.trade_type)::text IS DISTINCT FROM (old.trade_type)::text) OR ((new.instrument_id)::text IS DISTINCT FROM (old.instrument_id)::text) OR ((new.side)::text IS DISTINCT FROM (old.side)::text) OR ((new.receive_asset_id)::text IS DISTINCT FROM (old.receive_asset_id)::text) OR ((new.deliver_asset_id)::text IS DISTINCT FROM (old.deliver_asset_id)::text) OR (new.receive_amount IS DISTINCT FROM old.receive_amount) OR (new.deliver_amount IS DISTINCT FROM old.deliver_amount) OR (new.fee IS DISTINCT FROM old.fee) OR ((new.expected_error)::text IS DISTINCT FROM (old.expected_error)::text) OR (new.reference_trade_id IS DISTINCT FROM old.reference_trade_id) OR (new.created_at IS DISTINCT FROM old.created_at) OR ((new.external_id)::text IS DISTINCT FROM (old.external_id)::text))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_changed AFTER UPDATE OF id, trade_id, reason, flagged_by_id, flagged_at ON public.trades_tradeflag FOR EACH ROW WHEN (((new.id IS DISTINCT FROM old.id) OR (new.trade_id IS DISTINCT FROM old.trade_id) OR ((new.reason)::text IS DISTINCT FROM (old.reason)::text) OR (new.flagged_by_id IS DISTINCT FROM old.flagged_by_id) OR (new.flagged_at IS DISTINCT FROM old.flagged_at))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_deleted BEFORE DELETE ON public.trades_correction FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_deleted BEFORE DELETE ON public.trades_counterparty FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_deleted BEFORE DELETE ON public.trades_erasure FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_deleted BEFORE DELETE ON public.trades_instructionleg FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_deleted BEFORE DELETE ON public.trades_marginaccount FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_deleted BEFORE DELETE ON public.trades_order FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_deleted BEFORE DELETE ON public.trades_settlementbatch FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_deleted BEFORE DELETE ON public.trades_settlementinstruction FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_deleted BEFORE DELETE ON public.trades_settlementleg FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_deleted BEFORE DELETE ON public.trades_standinginstruction FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_deleted BEFORE DELETE ON public.trades_statemententry FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_deleted BEFORE DELETE ON public.trades_swaprun FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_deleted BEFORE DELETE ON public.trades_trade FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_deleted BEFORE DELETE ON public.trades_tradeflag FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.quotes_quote FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.trades_batchevent FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.trades_correction FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.trades_counterparty FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.trades_deal FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.trades_erasure FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.trades_idempotentanswer FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.trades_instructionleg FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.trades_leftout FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.trades_legreference FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.trades_legreport FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.trades_marginaccount FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.trades_order FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.trades_orderevent FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.trades_paymentfile FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.trades_settlementbatch FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.trades_settlementinstruction FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.trades_settlementleg FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.trades_standinginstruction FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.trades_statemententry FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.trades_statementfile FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.trades_swaprun FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.trades_trade FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.trades_tradeevent FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.trades_tradeflag FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER not_beside_a_reversal BEFORE UPDATE OF state ON public.trades_correction FOR EACH ROW WHEN ((((new.kind)::text = 'reverse_trade'::text) AND ((new.state)::text <> (old.state)::text) AND ((new.state)::text <> 'rejected'::text))) EXECUTE FUNCTION public.refuse_beside_reversal('trade');

CREATE TRIGGER not_beside_a_reversal BEFORE UPDATE OF status ON public.trades_settlementleg FOR EACH ROW WHEN ((((new.status)::text <> (old.status)::text) AND ((new.status)::text <> 'pending'::text))) EXECUTE FUNCTION public.refuse_beside_reversal('leg');

CREATE TRIGGER noted AFTER UPDATE ON public.trades_settlementbatch FOR EACH ROW WHEN ((((((((((((((((new.state)::text IS DISTINCT FROM (old.state)::text) OR (new.window_id IS DISTINCT FROM old.window_id)) OR ((new.asset_kinds)::text IS DISTINCT FROM (old.asset_kinds)::text)) OR (new.cut_at IS DISTINCT FROM old.cut_at)) OR (new.created_at IS DISTINCT FROM old.created_at)) OR (new.confirmed_at IS DISTINCT FROM old.confirmed_at)) OR (new.trades_count IS DISTINCT FROM old.trades_count)) OR ((new.members_sha256)::text IS DISTINCT FROM (old.members_sha256)::text)) OR (new.made_by_id IS DISTINCT FROM old.made_by_id)) OR (new.made_by_client_id IS DISTINCT FROM old.made_by_client_id)) OR (new.confirmed_by_id IS DISTINCT FROM old.confirmed_by_id)) OR (new.confirmed_by_client_id IS DISTINCT FROM old.confirmed_by_client_id)) OR (new.cancelled_by_id IS DISTINCT FROM old.cancelled_by_id)) OR (new.cancelled_by_client_id IS DISTINCT FROM old.cancelled_by_client_id))) EXECUTE FUNCTION public.note_batch();

CREATE TRIGGER once_never_changes BEFORE UPDATE ON public.trades_correction FOR EACH ROW WHEN ((new.once IS DISTINCT FROM old.once)) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER open_terms_never_change AFTER UPDATE OF price, open_price, opened_at, quantity, margin ON public.trades_order FOR EACH ROW WHEN ((((old.status)::text = 'OPEN'::text) AND ((new.open_price IS DISTINCT FROM old.open_price) OR (new.opened_at IS DISTINCT FROM old.opened_at) OR (new.price IS DISTINCT FROM old.price) OR (new.quantity > old.quantity) OR (new.margin > old.margin) OR ((new.margin <> old.margin) AND (new.quantity = old.quantity))))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER proposed_first BEFORE INSERT ON public.trades_correction FOR EACH ROW EXECUTE FUNCTION public.propose_correction();

CREATE TRIGGER proposed_first BEFORE INSERT ON public.trades_erasure FOR EACH ROW EXECUTE FUNCTION public.propose_erasure();

CREATE TRIGGER proposed_first BEFORE INSERT ON public.trades_standinginstruction FOR EACH ROW WHEN (((new.state)::text <> 'proposed'::text)) EXECUTE FUNCTION public.refuse_alone();

CREATE TRIGGER released_for_good BEFORE UPDATE ON public.trades_instructionleg FOR EACH ROW WHEN (((NOT old.is_live) OR (new.reported < old.reported))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER says_what_was_reported AFTER INSERT OR UPDATE OF actual, reversals, status ON public.trades_settlementleg FOR EACH ROW EXECUTE FUNCTION public.leg_says_what_was_reported();

CREATE TRIGGER schedule_counts_from_its_change BEFORE INSERT OR UPDATE ON public.trades_settlementwindow FOR EACH ROW EXECUTE FUNCTION public.count_schedule_from_now();

CREATE TRIGGER tells_made AFTER INSERT ON public.trades_batchevent REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION public.tell_batches();

CREATE TRIGGER tells_made AFTER INSERT ON public.trades_orderevent REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION public.tell_orders();

CREATE TRIGGER tells_made AFTER INSERT ON public.trades_settlementleg FOR EACH ROW EXECUTE FUNCTION public.tell_leg();

CREATE TRIGGER tells_made AFTER INSERT ON public.trades_tradeevent REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION public.tell_trades();

CREATE TRIGGER tells_moved AFTER UPDATE OF status ON public.trades_settlementleg FOR EACH ROW WHEN (((new.status)::text <> (old.status)::text)) EXECUTE FUNCTION public.tell_leg();

CREATE TRIGGER tells_used AFTER INSERT ON public.trades_trade REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION public.tell_quotes();

CREATE TRIGGER terms_never_change BEFORE UPDATE ON public.trades_correction FOR EACH ROW WHEN (((new.id <> old.id) OR ((new.kind)::text <> (old.kind)::text) OR (new.subject IS DISTINCT FROM old.subject) OR (new.customer_id IS DISTINCT FROM old.customer_id) OR ((new.asset_id)::text IS DISTINCT FROM (old.asset_id)::text) OR (new.amount IS DISTINCT FROM old.amount) OR ((new.direction)::text <> (old.direction)::text) OR ((new.reason)::text <> (old.reason)::text) OR ((new.reference)::text <> (old.reference)::text) OR (new.needs_checker <> old.needs_checker) OR (new.made_by_id IS DISTINCT FROM old.made_by_id) OR (new.made_by_client_id IS DISTINCT FROM old.made_by_client_id) OR (new.made_at <> old.made_at) OR ((old.state)::text = ANY ((ARRAY['applied'::character varying, 'rejected'::character varying])::text[])))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER versioned AFTER INSERT OR DELETE OR UPDATE ON public.trades_correction FOR EACH ROW EXECUTE FUNCTION public.note_row_version('id', '', '');

CREATE TRIGGER versioned AFTER INSERT OR DELETE OR UPDATE ON public.trades_counterparty FOR EACH ROW EXECUTE FUNCTION public.note_row_version('id', '', '');

CREATE TRIGGER versioned AFTER INSERT OR DELETE OR UPDATE ON public.trades_erasure FOR EACH ROW EXECUTE FUNCTION public.note_row_version('id', '', '');

CREATE TRIGGER versioned AFTER INSERT OR DELETE OR UPDATE ON public.trades_instructionleg FOR EACH ROW EXECUTE FUNCTION public.note_row_version('id', '', '');

CREATE TRIGGER versioned AFTER INSERT OR DELETE OR UPDATE ON public.trades_settlementbatch FOR EACH ROW EXECUTE FUNCTION public.note_row_version('id', 'state,first_trade_id,last_trade_id,trades_count,customers_count,members_sha256,left_out_count,completed_count,symbols,round,round_symbols,round_stops,parts_seen,done_symbols,slice_ends,slices_done,updated_at', '');

CREATE TRIGGER versioned AFTER INSERT OR DELETE OR UPDATE ON public.trades_settlementinstruction FOR EACH ROW EXECUTE FUNCTION public.note_row_version('id', 'updated_at', '');

CREATE TRIGGER versioned AFTER INSERT OR DELETE OR UPDATE ON public.trades_settlementleg FOR EACH ROW EXECUTE FUNCTION public.note_row_version('id', 'updated_at', '');

CREATE TRIGGER versioned AFTER INSERT OR DELETE OR UPDATE ON public.trades_settlementwindow FOR EACH ROW EXECUTE FUNCTION public.note_row_version('id', 'last_cut_at,waits_since', '');

CREATE TRIGGER versioned AFTER INSERT OR DELETE OR UPDATE ON public.trades_standinginstruction FOR EACH ROW EXECUTE FUNCTION public.note_row_version('id', '', '');

CREATE TRIGGER versioned AFTER INSERT OR DELETE OR UPDATE ON public.trades_statemententry FOR EACH ROW EXECUTE FUNCTION public.note_row_version('id', '', '');

CREATE TRIGGER versioned AFTER INSERT OR DELETE OR UPDATE ON public.trades_tradeflag FOR EACH ROW EXECUTE FUNCTION public.note_row_version('id', '', '');

CREATE TRIGGER waiting_terms_never_change AFTER UPDATE OF open_price, opened_at, quantity, margin, swap ON public.trades_order FOR EACH ROW WHEN ((((old.status)::text = 'PENDING'::text) AND ((new.quantity > old.quantity) OR (new.swap <> old.swap) OR (((new.status)::text <> 'OPEN'::text) AND ((new.quantity <> old.quantity) OR (new.margin <> old.margin) OR (new.open_price IS NOT NULL) OR (new.opened_at IS NOT NULL)))))) EXECUTE FUNCTION public.refuse_change();

ALTER TABLE ONLY public.trades_correction
    ADD CONSTRAINT trades_correction_asset_id_7ba2a5e2_fk_accounts_asset_code FOREIGN KEY (asset_id) REFERENCES public.accounts_asset(code) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_correction
    ADD CONSTRAINT trades_correction_checked_by_client_id_544cfb84_fk_accounts_ FOREIGN KEY (checked_by_client_id) REFERENCES public.accounts_apiclient(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_correction
    ADD CONSTRAINT trades_correction_checked_by_id_542eeb93_fk_accounts_user_id FOREIGN KEY (checked_by_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_correction
    ADD CONSTRAINT trades_correction_customer_id_f999be7d_fk_accounts_customer_id FOREIGN KEY (customer_id) REFERENCES public.accounts_customer(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_correction
    ADD CONSTRAINT trades_correction_made_by_client_id_6246f134_fk_accounts_ FOREIGN KEY (made_by_client_id) REFERENCES public.accounts_apiclient(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_correction
    ADD CONSTRAINT trades_correction_made_by_id_44bf15c9_fk_accounts_user_id FOREIGN KEY (made_by_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_counterparty
    ADD CONSTRAINT trades_counterparty_made_by_id_c304745b_fk_accounts_user_id FOREIGN KEY (made_by_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_erasure
    ADD CONSTRAINT trades_erasure_checked_by_id_91533675_fk_accounts_user_id FOREIGN KEY (checked_by_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_erasure
    ADD CONSTRAINT trades_erasure_customer_id_f693d4e9_fk_accounts_customer_id FOREIGN KEY (customer_id) REFERENCES public.accounts_customer(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_erasure
    ADD CONSTRAINT trades_erasure_made_by_id_d4367c9b_fk_accounts_user_id FOREIGN KEY (made_by_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_instructionleg
    ADD CONSTRAINT trades_instructionle_instruction_id_d25c3263_fk_trades_se FOREIGN KEY (instruction_id) REFERENCES public.trades_settlementinstruction(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_instructionleg
    ADD CONSTRAINT trades_instructionle_leg_id_4a1ba72f_fk_trades_se FOREIGN KEY (leg_id) REFERENCES public.trades_settlementleg(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_leftout
    ADD CONSTRAINT trades_leftout_batch_id_8a238313_fk_trades_settlementbatch_id FOREIGN KEY (batch_id) REFERENCES public.trades_settlementbatch(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_marginaccount
    ADD CONSTRAINT trades_marginaccount_customer_id_c134419e_fk_accounts_ FOREIGN KEY (customer_id) REFERENCES public.accounts_customer(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_order
    ADD CONSTRAINT trades_order_customer_id_cbdc30d0_fk_accounts_customer_id FOREIGN KEY (customer_id) REFERENCES public.accounts_customer(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_order
    ADD CONSTRAINT trades_order_instrument_id_cd118cd8_fk_quotes_instrument_symbol FOREIGN KEY (instrument_id) REFERENCES public.quotes_instrument(symbol) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_paymentfile
    ADD CONSTRAINT trades_paymentfile_made_by_id_11d2e81d_fk_accounts_user_id FOREIGN KEY (made_by_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_paymentfile
    ADD CONSTRAINT trades_paymentfile_repeat_of_id_a997e299_fk_trades_pa FOREIGN KEY (repeat_of_id) REFERENCES public.trades_paymentfile(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_settlementbatch
    ADD CONSTRAINT trades_settlementbat_cancelled_by_client__77a501ae_fk_accounts_ FOREIGN KEY (cancelled_by_client_id) REFERENCES public.accounts_apiclient(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_settlementbatch
    ADD CONSTRAINT trades_settlementbat_cancelled_by_id_f524a92b_fk_accounts_ FOREIGN KEY (cancelled_by_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_settlementbatch
    ADD CONSTRAINT trades_settlementbat_confirmed_by_client__1332337b_fk_accounts_ FOREIGN KEY (confirmed_by_client_id) REFERENCES public.accounts_apiclient(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_settlementbatch
    ADD CONSTRAINT trades_settlementbat_confirmed_by_id_c26b916f_fk_accounts_ FOREIGN KEY (confirmed_by_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_settlementbatch
    ADD CONSTRAINT trades_settlementbat_made_by_client_id_64380070_fk_accounts_ FOREIGN KEY (made_by_client_id) REFERENCES public.accounts_apiclient(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_settlementbatch
    ADD CONSTRAINT trades_settlementbat_window_id_03d86256_fk_trades_se FOREIGN KEY (window_id) REFERENCES public.trades_settlementwindow(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_settlementbatch
    ADD CONSTRAINT trades_settlementbatch_made_by_id_dfbdb8ef_fk_accounts_user_id FOREIGN KEY (made_by_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_settlementinstruction
    ADD CONSTRAINT trades_settlementins_asset_id_33f028b5_fk_accounts_ FOREIGN KEY (asset_id) REFERENCES public.accounts_asset(code) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_settlementinstruction
    ADD CONSTRAINT trades_settlementins_batch_id_5c18982e_fk_trades_se FOREIGN KEY (batch_id) REFERENCES public.trades_settlementbatch(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_settlementinstruction
    ADD CONSTRAINT trades_settlementins_counterparty_id_2f72534c_fk_trades_co FOREIGN KEY (counterparty_id) REFERENCES public.trades_counterparty(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_settlementinstruction
    ADD CONSTRAINT trades_settlementins_made_by_client_id_89b12e35_fk_accounts_ FOREIGN KEY (made_by_client_id) REFERENCES public.accounts_apiclient(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_settlementinstruction
    ADD CONSTRAINT trades_settlementins_made_by_id_637b03d0_fk_accounts_ FOREIGN KEY (made_by_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_settlementinstruction
    ADD CONSTRAINT trades_settlementins_payment_file_id_f67ac65c_fk_trades_pa FOREIGN KEY (payment_file_id) REFERENCES public.trades_paymentfile(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_settlementinstruction
    ADD CONSTRAINT trades_settlementins_standing_id_3170f7d8_fk_trades_st FOREIGN KEY (standing_id) REFERENCES public.trades_standinginstruction(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_settlementleg
    ADD CONSTRAINT trades_settlementleg_asset_id_271b989e_fk_accounts_asset_code FOREIGN KEY (asset_id) REFERENCES public.accounts_asset(code) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_settlementleg
    ADD CONSTRAINT trades_settlementleg_batch_id_25762096_fk_trades_se FOREIGN KEY (batch_id) REFERENCES public.trades_settlementbatch(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_settlementleg
    ADD CONSTRAINT trades_settlementleg_reported_by_client_i_8af0e9f0_fk_accounts_ FOREIGN KEY (reported_by_client_id) REFERENCES public.accounts_apiclient(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_settlementleg
    ADD CONSTRAINT trades_settlementleg_reported_by_id_d2675b9c_fk_accounts_ FOREIGN KEY (reported_by_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_standinginstruction
    ADD CONSTRAINT trades_standinginstr_asset_id_e0d2e78c_fk_accounts_ FOREIGN KEY (asset_id) REFERENCES public.accounts_asset(code) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_standinginstruction
    ADD CONSTRAINT trades_standinginstr_checked_by_id_5271b62a_fk_accounts_ FOREIGN KEY (checked_by_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_standinginstruction
    ADD CONSTRAINT trades_standinginstr_counterparty_id_f518d5fd_fk_trades_co FOREIGN KEY (counterparty_id) REFERENCES public.trades_counterparty(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_standinginstruction
    ADD CONSTRAINT trades_standinginstr_made_by_id_2b05a28b_fk_accounts_ FOREIGN KEY (made_by_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_statemententry
    ADD CONSTRAINT trades_statemententr_decided_by_client_id_a672cbe1_fk_accounts_ FOREIGN KEY (decided_by_client_id) REFERENCES public.accounts_apiclient(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_statemententry
    ADD CONSTRAINT trades_statemententr_decided_by_id_ab37ea9a_fk_accounts_ FOREIGN KEY (decided_by_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_statemententry
    ADD CONSTRAINT trades_statemententr_file_id_941e8651_fk_trades_st FOREIGN KEY (file_id) REFERENCES public.trades_statementfile(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_statemententry
    ADD CONSTRAINT trades_statemententr_instruction_id_03df2d82_fk_trades_se FOREIGN KEY (instruction_id) REFERENCES public.trades_settlementinstruction(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_statemententry
    ADD CONSTRAINT trades_statemententry_asset_id_0f453cde_fk_accounts_asset_code FOREIGN KEY (asset_id) REFERENCES public.accounts_asset(code) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_statementfile
    ADD CONSTRAINT trades_statementfile_made_by_client_id_22d5b7c2_fk_accounts_ FOREIGN KEY (made_by_client_id) REFERENCES public.accounts_apiclient(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_statementfile
    ADD CONSTRAINT trades_statementfile_made_by_id_68f0b957_fk_accounts_user_id FOREIGN KEY (made_by_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_trade
    ADD CONSTRAINT trades_trade_customer_id_1b80b874_fk_accounts_customer_id FOREIGN KEY (customer_id) REFERENCES public.accounts_customer(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_trade
    ADD CONSTRAINT trades_trade_quote_id_264c1985_fk_quotes_quote_id FOREIGN KEY (quote_id) REFERENCES public.quotes_quote(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_tradeflag
    ADD CONSTRAINT trades_tradeflag_cleared_by_id_64c102e7_fk_accounts_user_id FOREIGN KEY (cleared_by_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.trades_tradeflag
    ADD CONSTRAINT trades_tradeflag_flagged_by_id_f7edbaa9_fk_accounts_user_id FOREIGN KEY (flagged_by_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

REVOKE ALL ON FUNCTION public.tell_batches() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.tell_leg() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.tell_orders() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.tell_quotes() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.tell_trades() FROM PUBLIC;

DO $do$
BEGIN
    IF current_setting('server_version_num')::int < 170000 THEN
        CREATE CONSTRAINT TRIGGER late_commit AFTER INSERT ON public.trades_orderevent DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION public.refuse_late_commit();
        CREATE CONSTRAINT TRIGGER late_commit AFTER INSERT ON public.trades_tradeevent DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION public.refuse_late_commit();
    END IF;
END $do$;

INSERT INTO public.trades_settlementwindow
    (id, name, asset_kind, cron, time_zone, calendar, is_active, is_automatic, created_at, last_cut_at,
     legs_are_automatic, schedule_since, netting, waits_since, value_days, completes_in_order)
VALUES
    (public.new_uuid7(), 'Crypto, hourly', 'crypto', '0 9-17 * * *', 'America/New_York', 'NYSE', true, true, now(), NULL, true, now(), 'batch', NULL, 0, false),
    (public.new_uuid7(), 'Currencies, hourly', 'fiat', '0 9-17 * * *', 'America/New_York', 'NYSE', true, true, now(), NULL, true, now(), 'batch', NULL, 0, false),
    (public.new_uuid7(), 'Metals, hourly', 'metal', '0 9-17 * * *', 'America/New_York', 'NYSE', true, true, now(), NULL, true, now(), 'batch', NULL, 0, false);
