from django.apps import AppConfig

# Of a batch: it moves with every slice, and the recount compares it with the trades.
_PROGRESS = (
    *("state", "first_trade_id", "last_trade_id", "trades_count", "customers_count", "members_sha256"),
    *("left_out_count", "completed_count", "symbols", "round", "round_symbols", "done_symbols", "slice_ends"),
    *("slices_done", "updated_at"),
)


class TradesConfig(AppConfig):
    name = "trades"
    verbose_name = "Trading and settlement"

    def ready(self) -> None:
        from accounts import seals, versions
        from trades import audit
        from trades import order_audit as orders_audit
        from trades.recount import events, legs, orders, spot, swaps, terms, times
        from trades.settlement import audit as settlement_audit

        audit.register_checks()
        orders_audit.register_checks()
        settlement_audit.register_checks()
        for subject in (events, terms, times, orders, swaps, spot, legs):
            subject.register_checks()
        for table in ("trades_batchevent", "trades_deal", "trades_orderevent", "trades_tradeevent"):
            seals.register(table)
        # How far a night has come goes on changing; at which prices it began doesn't.
        begun = ("id", "partition", "night", "cutoff", "prices", "rates", "started_at")
        seals.register("trades_swaprun", columns=begun, about_others=False)
        versions.keep("trades_settlementwindow", "id", without=("last_cut_at",))
        versions.keep("trades_correction", "id")
        versions.keep("trades_tradeflag", "id")
        versions.keep("trades_settlementleg", "id", without=("updated_at",))
        versions.keep("trades_settlementbatch", "id", without=_PROGRESS)
