"""Versions of windows, of corrections, and of who cut, confirmed and reported what (docs/decisions/0048)."""

from django.db import migrations

# A batch's progress is left out: it moves with every slice, and the recount compares it with the trades.
KEPT = """
SELECT keep_versions('trades_settlementwindow', 'id', 'last_cut_at', '');
SELECT keep_versions('trades_correction', 'id', '', '');
SELECT keep_versions('trades_tradeflag', 'id', '', '');
SELECT keep_versions('trades_settlementleg', 'id', 'updated_at', '');
SELECT keep_versions('trades_settlementbatch', 'id', 'state,first_trade_id,last_trade_id,trades_count,customers_count,members_sha256,left_out_count,completed_count,symbols,round,round_symbols,done_symbols,slice_ends,slices_done,updated_at', '');
"""


class Migration(migrations.Migration):
    dependencies = [("trades", "0060_recount"), ("accounts", "0032_row_versions")]

    operations = [migrations.RunSQL(KEPT, migrations.RunSQL.noop)]
