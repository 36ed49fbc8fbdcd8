-- The tables of quotes as migrations 0001 to 0041 left them, with their rows; read by 0001_squashed_0041_events.py.

SET LOCAL check_function_bodies = off;  -- functions come before the tables that they name

CREATE FUNCTION public.carry_out_instrument_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    stood public.quotes_instrument;
    names text[] := ARRAY(SELECT jsonb_object_keys(NEW.new) ORDER BY 1);
BEGIN
    SELECT * INTO STRICT stood FROM public.quotes_instrument WHERE symbol = NEW.instrument_id FOR NO KEY UPDATE;
    IF names <> ARRAY(SELECT jsonb_object_keys(NEW.old) ORDER BY 1)
       OR EXISTS (SELECT FROM unnest(names) n WHERE NOT EXISTS (SELECT FROM public.quotes_termband b WHERE b.term = n)) THEN
        RAISE EXCEPTION 'a change names terms that it may change, with what they were and what they become'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF jsonb_populate_record(stood, NEW.old) IS DISTINCT FROM stood THEN
        RAISE EXCEPTION 'the instrument is not any more as it was when this change was proposed'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NOT NEW.needs_checker AND public.terms_beyond_band(NEW.instrument_id, NEW.new) <> '{}' THEN
        RAISE EXCEPTION 'this change of an instrument needs a second person'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    UPDATE public.quotes_instrument i
    SET price_decimals = n.price_decimals, quantity_decimals = n.quantity_decimals, price_age_limit_seconds = n.price_age_limit_seconds, jump_limit_percent = n.jump_limit_percent, max_spread_percent = n.max_spread_percent, spread_bps = n.spread_bps, volatility_limit_percent = n.volatility_limit_percent, quote_life_seconds = n.quote_life_seconds, leverage_cap = n.leverage_cap, fee_bps = n.fee_bps, swap_long_bps = n.swap_long_bps, swap_short_bps = n.swap_short_bps, swap_triple_weekday = n.swap_triple_weekday, simulator_price = n.simulator_price, simulator_step_bps = n.simulator_step_bps,
        agreed = CASE WHEN NEW.needs_checker THEN i.agreed - names ELSE NEW.old || i.agreed END
    FROM jsonb_populate_record(stood, NEW.new) n
    WHERE i.symbol = NEW.instrument_id;
    RETURN NULL;
END $$;

CREATE FUNCTION public.nothing_agreed_before() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    NEW.agreed := '{}';
    RETURN NEW;
END $$;

CREATE FUNCTION public.propose_instrument_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF NEW.state <> 'proposed' THEN
        RAISE EXCEPTION 'a change of an instrument begins as a proposal'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION public.tell_hold() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    here CONSTANT bigint := public.event_transaction();
BEGIN
    INSERT INTO public.accounts_event (transaction, kind, object_id, customer_id, detail, at)
    SELECT here, CASE WHEN NEW.bid IS NULL THEN 'price.released' ELSE 'price.held' END, NEW.id, NULL::uuid, NEW.instrument_id, NEW.at;
    RETURN NULL;
END $$;

CREATE FUNCTION public.terms_beyond_band(of_symbol text, wanted jsonb) RETURNS text[]
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT coalesce(array_agg(w.key ORDER BY w.key), '{}')
    FROM public.quotes_instrument i
    CROSS JOIN LATERAL jsonb_each_text(wanted) w
    CROSS JOIN LATERAL (SELECT coalesce(i.agreed ->> w.key, to_jsonb(i) ->> w.key)::numeric AS value) agreed
    LEFT JOIN public.quotes_termband b ON b.term = w.key
    WHERE i.symbol = of_symbol AND NOT coalesce(w.value::numeric BETWEEN
        agreed.value - least(abs(agreed.value) * b.down_percent / 100, b.most)
        AND agreed.value + least(abs(agreed.value) * b.up_percent / 100, b.most), false)
$$;

CREATE TABLE public.quotes_candle (
    id uuid NOT NULL,
    minute timestamp with time zone NOT NULL,
    open numeric(38,18) NOT NULL,
    high numeric(38,18) NOT NULL,
    low numeric(38,18) NOT NULL,
    close numeric(38,18) NOT NULL,
    volume numeric(38,18) NOT NULL,
    trade_count integer NOT NULL,
    instrument_id character varying(21) NOT NULL,
    CONSTRAINT candle_in_order CHECK (((high >= open) AND (low > (0)::numeric) AND (low <= open) AND (high >= close) AND (low <= close))),
    CONSTRAINT quotes_candle_trade_count_check CHECK ((trade_count >= 0))
);

CREATE TABLE public.quotes_feedlease (
    id smallint NOT NULL,
    epoch bigint NOT NULL,
    holder character varying(120) NOT NULL,
    renewed_at timestamp with time zone,
    taken_at timestamp with time zone,
    CONSTRAINT one_feed_lease CHECK ((id = 1)),
    CONSTRAINT quotes_feedlease_id_check CHECK ((id >= 0))
);

CREATE TABLE public.quotes_instrument (
    symbol character varying(21) NOT NULL,
    name character varying(60) NOT NULL,
    image_url character varying(200) NOT NULL,
    is_active boolean NOT NULL,
    price_decimals smallint NOT NULL,
    quantity_decimals smallint NOT NULL,
    min_quantity numeric(38,18) NOT NULL,
    max_quantity numeric(38,18) NOT NULL,
    leverage_cap smallint NOT NULL,
    spread_bps numeric(8,3) NOT NULL,
    fee_bps numeric(8,3) NOT NULL,
    price_age_limit_seconds smallint NOT NULL,
    quote_life_seconds smallint NOT NULL,
    volatility_limit_percent numeric(6,3) NOT NULL,
    simulator_price numeric(38,18) NOT NULL,
    simulator_step_bps numeric(8,3) NOT NULL,
    base_asset_id character varying(10) NOT NULL,
    counter_asset_id character varying(10) NOT NULL,
    jump_limit_percent numeric(6,3) NOT NULL,
    swap_long_bps numeric(8,3) NOT NULL,
    swap_short_bps numeric(8,3) NOT NULL,
    swap_triple_weekday smallint,
    max_spread_percent numeric(6,3) NOT NULL,
    agreed jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT instrument_jump_limit_positive CHECK ((jump_limit_percent > (0)::numeric)),
    CONSTRAINT instrument_leverage_cap_positive CHECK ((leverage_cap >= 1)),
    CONSTRAINT instrument_max_spread_positive CHECK ((max_spread_percent > (0)::numeric)),
    CONSTRAINT instrument_of_two_assets CHECK ((NOT ((base_asset_id)::text = (counter_asset_id)::text))),
    CONSTRAINT instrument_quantity_range CHECK (((max_quantity >= min_quantity) AND (min_quantity > (0)::numeric))),
    CONSTRAINT instrument_swap_triple_weekday_known CHECK ((swap_triple_weekday = ANY (ARRAY[0, 1, 2, 3, 4]))),
    CONSTRAINT quotes_instrument_leverage_cap_check CHECK ((leverage_cap >= 0)),
    CONSTRAINT quotes_instrument_price_age_limit_seconds_check CHECK ((price_age_limit_seconds >= 0)),
    CONSTRAINT quotes_instrument_price_decimals_check CHECK ((price_decimals >= 0)),
    CONSTRAINT quotes_instrument_quantity_decimals_check CHECK ((quantity_decimals >= 0)),
    CONSTRAINT quotes_instrument_quote_life_seconds_check CHECK ((quote_life_seconds >= 0)),
    CONSTRAINT quotes_instrument_swap_triple_weekday_check CHECK ((swap_triple_weekday >= 0))
);

CREATE TABLE public.quotes_instrumentchange (
    id uuid NOT NULL,
    state character varying(8) NOT NULL,
    old jsonb NOT NULL,
    new jsonb NOT NULL,
    stated jsonb NOT NULL,
    fires boolean NOT NULL,
    needs_checker boolean NOT NULL,
    reason character varying(500) NOT NULL,
    once uuid,
    made_at timestamp with time zone NOT NULL,
    decided_at timestamp with time zone,
    stated_when_applied jsonb,
    checked_by_id uuid,
    instrument_id character varying(21) NOT NULL,
    made_by_id uuid NOT NULL,
    CONSTRAINT instrument_change_applied_by_a_checker CHECK (((NOT ((state)::text = 'applied'::text)) OR (NOT needs_checker) OR (checked_by_id IS NOT NULL))),
    CONSTRAINT instrument_change_decided_at_a_time CHECK ((((checked_by_id IS NULL) AND (decided_at IS NULL) AND ((state)::text = 'proposed'::text)) OR ((decided_at IS NOT NULL) AND ((state)::text = ANY ((ARRAY['applied'::character varying, 'refused'::character varying])::text[]))))),
    CONSTRAINT instrument_change_has_a_reason CHECK ((NOT ((reason)::text = ''::text))),
    CONSTRAINT instrument_change_maker_is_not_checker CHECK (((checked_by_id IS NULL) OR (NOT ((made_by_id = checked_by_id) AND (checked_by_id IS NOT NULL))))),
    CONSTRAINT instrument_change_state_known CHECK (((state)::text = ANY ((ARRAY['proposed'::character varying, 'applied'::character varying, 'refused'::character varying])::text[]))),
    CONSTRAINT instrument_change_that_fires_takes_two CHECK ((needs_checker OR (NOT fires)))
);

CREATE TABLE public.quotes_pricehold (
    id uuid NOT NULL,
    number bigint NOT NULL,
    bid numeric(38,18),
    ask numeric(38,18),
    reason character varying(200) NOT NULL,
    at timestamp with time zone NOT NULL,
    by_id uuid,
    instrument_id character varying(21) NOT NULL,
    request_id character varying(128),
    CONSTRAINT hold_is_a_price_or_a_release CHECK ((((ask IS NULL) AND (bid IS NULL)) OR ((ask >= bid) AND (ask IS NOT NULL) AND (bid > (0)::numeric) AND (bid IS NOT NULL)))),
    CONSTRAINT hold_number_positive CHECK ((number > 0))
);

CREATE TABLE public.quotes_quote (
    id uuid NOT NULL,
    product_type character varying(16) NOT NULL,
    side character varying(4) NOT NULL,
    price numeric(38,18) NOT NULL,
    receive_amount numeric(38,0) NOT NULL,
    deliver_amount numeric(38,0) NOT NULL,
    fee numeric(38,0) NOT NULL,
    reference_trade_id uuid,
    issued_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    customer_id uuid NOT NULL,
    instrument_id character varying(21) NOT NULL,
    fee_bps numeric(8,3),
    fee_fixed numeric(38,0),
    external_id character varying(64),
    request_id character varying(128),
    CONSTRAINT quote_amounts_positive CHECK (((deliver_amount > (0)::numeric) AND (fee >= (0)::numeric) AND (receive_amount > (0)::numeric))),
    CONSTRAINT quote_price_positive CHECK ((price > (0)::numeric)),
    CONSTRAINT quote_product_type_known CHECK (((product_type)::text = ANY ((ARRAY['trading'::character varying, 'trading_exit'::character varying])::text[]))),
    CONSTRAINT quote_reference_fits_product CHECK (((((product_type)::text = 'trading'::text) AND (reference_trade_id IS NULL)) OR (((product_type)::text = 'trading_exit'::text) AND (reference_trade_id IS NOT NULL)))),
    CONSTRAINT quote_side_known CHECK (((side)::text = ANY ((ARRAY['buy'::character varying, 'sell'::character varying])::text[])))
);

CREATE TABLE public.quotes_termband (
    term character varying(40) NOT NULL,
    down_percent smallint NOT NULL,
    up_percent smallint NOT NULL,
    most numeric(12,3) NOT NULL,
    CONSTRAINT quotes_termband_down_percent_check CHECK ((down_percent >= 0)),
    CONSTRAINT quotes_termband_up_percent_check CHECK ((up_percent >= 0))
);

ALTER TABLE ONLY public.quotes_candle
    ADD CONSTRAINT one_candle_per_minute UNIQUE (instrument_id, minute);

ALTER TABLE ONLY public.quotes_pricehold
    ADD CONSTRAINT one_hold_per_number UNIQUE (instrument_id, number);

ALTER TABLE ONLY public.quotes_candle
    ADD CONSTRAINT quotes_candle_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.quotes_feedlease
    ADD CONSTRAINT quotes_feedlease_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.quotes_instrument
    ADD CONSTRAINT quotes_instrument_pkey PRIMARY KEY (symbol);

ALTER TABLE ONLY public.quotes_instrumentchange
    ADD CONSTRAINT quotes_instrumentchange_once_key UNIQUE (once);

ALTER TABLE ONLY public.quotes_instrumentchange
    ADD CONSTRAINT quotes_instrumentchange_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.quotes_pricehold
    ADD CONSTRAINT quotes_pricehold_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.quotes_quote
    ADD CONSTRAINT quotes_quote_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.quotes_termband
    ADD CONSTRAINT quotes_termband_pkey PRIMARY KEY (term);

CREATE UNIQUE INDEX one_open_change_per_instrument ON public.quotes_instrumentchange USING btree (instrument_id) WHERE ((state)::text = 'proposed'::text);

CREATE INDEX quote_by_customer ON public.quotes_quote USING btree (customer_id, id);

CREATE INDEX quote_by_external_id ON public.quotes_quote USING btree (external_id, id) WHERE (external_id IS NOT NULL);

CREATE INDEX quote_by_reference ON public.quotes_quote USING btree (reference_trade_id, id) WHERE (reference_trade_id IS NOT NULL);

CREATE INDEX quotes_instrument_base_asset_id_4aac942f ON public.quotes_instrument USING btree (base_asset_id);

CREATE INDEX quotes_instrument_base_asset_id_4aac942f_like ON public.quotes_instrument USING btree (base_asset_id varchar_pattern_ops);

CREATE INDEX quotes_instrument_counter_asset_id_bfaf5e5d ON public.quotes_instrument USING btree (counter_asset_id);

CREATE INDEX quotes_instrument_counter_asset_id_bfaf5e5d_like ON public.quotes_instrument USING btree (counter_asset_id varchar_pattern_ops);

CREATE INDEX quotes_instrument_symbol_81191b45_like ON public.quotes_instrument USING btree (symbol varchar_pattern_ops);

CREATE INDEX quotes_instrumentchange_instrument_id_9e1df6db ON public.quotes_instrumentchange USING btree (instrument_id);

CREATE INDEX quotes_instrumentchange_instrument_id_9e1df6db_like ON public.quotes_instrumentchange USING btree (instrument_id varchar_pattern_ops);

CREATE INDEX quotes_termband_term_a4f2dc16_like ON public.quotes_termband USING btree (term varchar_pattern_ops);

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.quotes_pricehold FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER carried_out AFTER UPDATE OF state ON public.quotes_instrumentchange FOR EACH ROW WHEN ((((old.state)::text = 'proposed'::text) AND ((new.state)::text = 'applied'::text))) EXECUTE FUNCTION public.carry_out_instrument_change();

CREATE TRIGGER changed_by_owner BEFORE UPDATE OF price_decimals, quantity_decimals, price_age_limit_seconds, jump_limit_percent, max_spread_percent, spread_bps, volatility_limit_percent, quote_life_seconds, leverage_cap, fee_bps, swap_long_bps, swap_short_bps, swap_triple_weekday, simulator_price, simulator_step_bps, agreed ON public.quotes_instrument FOR EACH ROW WHEN (((new.price_decimals IS DISTINCT FROM old.price_decimals) OR (new.quantity_decimals IS DISTINCT FROM old.quantity_decimals) OR (new.price_age_limit_seconds IS DISTINCT FROM old.price_age_limit_seconds) OR (new.jump_limit_percent IS DISTINCT FROM old.jump_limit_percent) OR (new.max_spread_percent IS DISTINCT FROM old.max_spread_percent) OR (new.spread_bps IS DISTINCT FROM old.spread_bps) OR (new.volatility_limit_percent IS DISTINCT FROM old.volatility_limit_percent) OR (new.quote_life_seconds IS DISTINCT FROM old.quote_life_seconds) OR (new.leverage_cap IS DISTINCT FROM old.leverage_cap) OR (new.fee_bps IS DISTINCT FROM old.fee_bps) OR (new.swap_long_bps IS DISTINCT FROM old.swap_long_bps) OR (new.swap_short_bps IS DISTINCT FROM old.swap_short_bps) OR (new.swap_triple_weekday IS DISTINCT FROM old.swap_triple_weekday) OR (new.simulator_price IS DISTINCT FROM old.simulator_price) OR (new.simulator_step_bps IS DISTINCT FROM old.simulator_step_bps) OR (new.agreed IS DISTINCT FROM old.agreed))) EXECUTE FUNCTION public.refuse_all_but_owner();

CREATE TRIGGER changed_by_owner BEFORE UPDATE OF term, down_percent, up_percent, most ON public.quotes_termband FOR EACH ROW EXECUTE FUNCTION public.refuse_all_but_owner();

CREATE TRIGGER decided_for_good BEFORE UPDATE ON public.quotes_instrumentchange FOR EACH ROW WHEN (((old.state)::text <> 'proposed'::text)) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER made_by_owner BEFORE INSERT ON public.quotes_termband FOR EACH ROW EXECUTE FUNCTION public.refuse_all_but_owner();

CREATE TRIGGER never_changed AFTER UPDATE OF symbol, base_asset_id, counter_asset_id ON public.quotes_instrument FOR EACH ROW WHEN ((((new.symbol)::text <> (old.symbol)::text) OR ((new.base_asset_id)::text <> (old.base_asset_id)::text) OR ((new.counter_asset_id)::text <> (old.counter_asset_id)::text))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_changed AFTER UPDATE OF id, instrument_id, old, new, stated, fires, needs_checker, reason, once, made_by_id, made_at ON public.quotes_instrumentchange FOR EACH ROW WHEN (((new.id IS DISTINCT FROM old.id) OR ((new.instrument_id)::text IS DISTINCT FROM (old.instrument_id)::text) OR (new.old IS DISTINCT FROM old.old) OR (new.new IS DISTINCT FROM old.new) OR (new.stated IS DISTINCT FROM old.stated) OR (new.fires IS DISTINCT FROM old.fires) OR (new.needs_checker IS DISTINCT FROM old.needs_checker) OR ((new.reason)::text IS DISTINCT FROM (old.reason)::text) OR (new.once IS DISTINCT FROM old.once) OR (new.made_by_id IS DISTINCT FROM old.made_by_id) OR (new.made_at IS DISTINCT FROM old.made_at))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_deleted BEFORE DELETE ON public.quotes_feedlease FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_deleted BEFORE DELETE ON public.quotes_instrumentchange FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_deleted BEFORE DELETE ON public.quotes_termband FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.quotes_feedlease FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.quotes_instrumentchange FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.quotes_pricehold FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER never_emptied BEFORE TRUNCATE ON public.quotes_termband FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER nothing_agreed_before BEFORE INSERT ON public.quotes_instrument FOR EACH ROW EXECUTE FUNCTION public.nothing_agreed_before();

CREATE TRIGGER proposed_first BEFORE INSERT ON public.quotes_instrumentchange FOR EACH ROW EXECUTE FUNCTION public.propose_instrument_change();

CREATE TRIGGER tells_made AFTER INSERT ON public.quotes_pricehold FOR EACH ROW EXECUTE FUNCTION public.tell_hold();

CREATE TRIGGER versioned AFTER INSERT OR DELETE OR UPDATE ON public.quotes_instrument FOR EACH ROW EXECUTE FUNCTION public.note_row_version('symbol', '', '');

CREATE TRIGGER versioned AFTER INSERT OR DELETE OR UPDATE ON public.quotes_instrumentchange FOR EACH ROW EXECUTE FUNCTION public.note_row_version('id', '', '');

CREATE TRIGGER versioned AFTER INSERT OR DELETE OR UPDATE ON public.quotes_termband FOR EACH ROW EXECUTE FUNCTION public.note_row_version('term', '', '');

ALTER TABLE ONLY public.quotes_candle
    ADD CONSTRAINT quotes_candle_instrument_id_4c472bae_fk_quotes_in FOREIGN KEY (instrument_id) REFERENCES public.quotes_instrument(symbol) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.quotes_instrument
    ADD CONSTRAINT quotes_instrument_base_asset_id_4aac942f_fk_accounts_asset_code FOREIGN KEY (base_asset_id) REFERENCES public.accounts_asset(code) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.quotes_instrument
    ADD CONSTRAINT quotes_instrument_counter_asset_id_bfaf5e5d_fk_accounts_ FOREIGN KEY (counter_asset_id) REFERENCES public.accounts_asset(code) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.quotes_instrumentchange
    ADD CONSTRAINT quotes_instrumentcha_checked_by_id_7f9f058e_fk_accounts_ FOREIGN KEY (checked_by_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.quotes_instrumentchange
    ADD CONSTRAINT quotes_instrumentcha_instrument_id_9e1df6db_fk_quotes_in FOREIGN KEY (instrument_id) REFERENCES public.quotes_instrument(symbol) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.quotes_instrumentchange
    ADD CONSTRAINT quotes_instrumentchange_made_by_id_1cc82d45_fk_accounts_user_id FOREIGN KEY (made_by_id) REFERENCES public.accounts_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.quotes_quote
    ADD CONSTRAINT quotes_quote_customer_id_5bad60d2_fk_accounts_customer_id FOREIGN KEY (customer_id) REFERENCES public.accounts_customer(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.quotes_quote
    ADD CONSTRAINT quotes_quote_instrument_id_3d268ca0_fk_quotes_instrument_symbol FOREIGN KEY (instrument_id) REFERENCES public.quotes_instrument(symbol) DEFERRABLE INITIALLY DEFERRED;

REVOKE ALL ON FUNCTION public.tell_hold() FROM PUBLIC;

INSERT INTO public.quotes_feedlease
    (id, epoch, holder, renewed_at, taken_at)
VALUES
    (1, 0, '', NULL, NULL);

INSERT INTO public.quotes_instrument
    (symbol, name, image_url, is_active, price_decimals, quantity_decimals, min_quantity, max_quantity, leverage_cap,
     spread_bps, fee_bps, price_age_limit_seconds, quote_life_seconds, volatility_limit_percent, simulator_price,
     simulator_step_bps, base_asset_id, counter_asset_id, jump_limit_percent, swap_long_bps, swap_short_bps,
     swap_triple_weekday, max_spread_percent, agreed)
VALUES
    ('BTC-USD', 'Bitcoin', '/static/assets/btc.svg', true, 2, 8, 0.000010000000000000, 1000.000000000000000000, 100, 5.000, 25.000, 10, 30, 1.000, 42350.000000000000000000, 2.000, 'BTC', 'USD', 50.000, -2.500, -0.500, NULL, 5.000, '{}'),
    ('ETH-USD', 'Ether', '/static/assets/eth.svg', true, 2, 18, 0.000100000000000000, 20000.000000000000000000, 100, 6.000, 25.000, 10, 30, 1.000, 2250.000000000000000000, 2.000, 'ETH', 'USD', 50.000, -2.500, -0.500, NULL, 5.000, '{}'),
    ('SOL-USD', 'Solana', '/static/assets/sol.svg', true, 4, 9, 0.010000000000000000, 200000.000000000000000000, 50, 8.000, 25.000, 10, 30, 1.000, 98.000000000000000000, 2.000, 'SOL', 'USD', 50.000, -2.500, -0.500, NULL, 5.000, '{}'),
    ('EUR-USD', 'Euro', '/static/assets/eur.svg', true, 5, 2, 1.000000000000000000, 50000000.000000000000000000, 500, 1.000, 10.000, 10, 30, 1.000, 1.087500000000000000, 2.000, 'EUR', 'USD', 50.000, -0.600, 0.200, 2, 5.000, '{}'),
    ('XAU-USD', 'Gold', '/static/assets/xau.svg', true, 2, 6, 0.001000000000000000, 10000.000000000000000000, 200, 3.000, 15.000, 10, 30, 1.000, 2040.000000000000000000, 2.000, 'XAU', 'USD', 50.000, -1.100, 0.400, 2, 5.000, '{}');

INSERT INTO public.quotes_termband
    (term, down_percent, up_percent, most)
VALUES
    ('price_decimals', 0, 0, 0.000),
    ('quantity_decimals', 0, 0, 0.000),
    ('price_age_limit_seconds', 50, 50, 5.000),
    ('jump_limit_percent', 50, 0, 50.000),
    ('max_spread_percent', 50, 0, 50.000),
    ('spread_bps', 50, 50, 5.000),
    ('volatility_limit_percent', 50, 0, 50.000),
    ('quote_life_seconds', 50, 0, 60.000),
    ('leverage_cap', 100, 0, 1000.000),
    ('fee_bps', 20, 20, 5.000),
    ('swap_long_bps', 20, 20, 1.000),
    ('swap_short_bps', 20, 20, 1.000),
    ('swap_triple_weekday', 0, 0, 0.000),
    ('simulator_price', 0, 0, 0.000),
    ('simulator_step_bps', 50, 50, 1.000);
