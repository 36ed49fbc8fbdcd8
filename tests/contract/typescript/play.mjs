// The published TypeScript client, unmodified, against a running system: customers, accounts, lists, quotes, trades and
// exits. `tests/contract/test_typescript_sdk.py` starts it; it prints a line for each thing that was so.
//
//   URL       where the system answers
//   TOKEN     of an API client with every scope
//   CUSTOMER  a verified customer with 10,000.00 USD
//   WITH      what the document has, of: patch, account-labels

import assert from "node:assert/strict";
import sdk from "@cybrid/cybrid-api-bank-typescript";
import rxjs from "rxjs";
import xhr2 from "xhr2";

globalThis.XMLHttpRequest = xhr2.XMLHttpRequest; // the client is written for browsers

const { URL: url, TOKEN: token, CUSTOMER: customerGuid } = process.env;
const has = new Set((process.env.WITH ?? "").split(","));
const configuration = new sdk.Configuration({ basePath: url, accessToken: `Bearer ${token}` });
const api = (Api) => new Api(configuration);
const once = (call) => rxjs.firstValueFrom(call);
const told = (what) => console.log(`ok ${what}`);

const customers = api(sdk.CustomersBankApi);
const accounts = api(sdk.AccountsBankApi);
const quotes = api(sdk.QuotesBankApi);
const trades = api(sdk.TradesBankApi);
const isGuid = (guid) => /^[0-9a-f]{32}$/.test(guid);
const guids = (list) => list.objects.map((one) => one.guid);

async function until(state, look) {
  const giveUp = Date.now() + 20_000;
  for (;;) {
    const seen = await look();
    if (seen.state === state) return seen;
    assert.ok(Date.now() < giveUp, `still ${seen.state}`);
    await new Promise((resume) => setTimeout(resume, 50));
  }
}

async function refused(status, code, call) {
  const answer = await once(call).then(() => assert.fail(`${code} was expected`), (error) => error);
  assert.deepEqual([answer.status, answer.response?.message_code], [status, code]);
}

// --- customers -------------------------------------------------------------------------------------------------------

const made = await once(
  customers.createCustomer({
    postCustomerBankModel: { type: "individual", name: { first: "Ada", last: "Byron" }, labels: ["ts"] },
  }),
);
assert.ok(isGuid(made.guid) && isGuid(made.bank_guid));
assert.deepEqual([made.type, made.labels], ["individual", ["ts"]]);
const getMade = () => once(customers.getCustomer({ customerGuid: made.guid }));
assert.equal((await until("verified", getMade)).guid, made.guid);
const listed = await once(customers.listCustomers({ label: "ts", type: "individual", bankGuid: made.bank_guid, perPage: 5 }));
assert.deepEqual([listed.total, listed.page, listed.per_page, guids(listed)], [1, 0, 5, [made.guid]]);
assert.deepEqual(guids(await once(customers.listCustomers({ guid: `${made.guid},${customerGuid}` }))).length, 2);
await refused(404, "not_found", customers.getCustomer({ customerGuid: "0".repeat(32) }));
await refused(400, "invalid_parameter", customers.createCustomer({ postCustomerBankModel: { type: "robot" } }));
told("customers are created, read, listed and filtered");

// --- accounts --------------------------------------------------------------------------------------------------------

const post = { type: "trading", asset: "BTC", name: "Ada's coins", customer_guid: made.guid, labels: ["cold"] };
const opened = await once(accounts.createAccount({ postAccountBankModel: post }));
assert.deepEqual(
  [opened.type, opened.asset, opened.name, opened.customer_guid, opened.platform_balance, opened.state],
  ["trading", "BTC", "Ada's coins", made.guid, 0, "created"],
);
assert.equal((await once(accounts.getAccount({ accountGuid: opened.guid }))).guid, opened.guid);
const ofMade = { customerGuid: made.guid, owner: "customer", bankGuid: made.bank_guid };
assert.deepEqual(guids(await once(accounts.listAccounts({ ...ofMade, type: "trading" }))), [opened.guid]);
assert.deepEqual(guids(await once(accounts.listAccounts({ ...ofMade, type: "fiat" }))), []);
assert.deepEqual(guids(await once(accounts.listAccounts({ guid: opened.guid }))), [opened.guid]);
const wrong = { type: "fiat", asset: "BTC", name: "x", customer_guid: made.guid };
await refused(422, "account_type_mismatch", accounts.createAccount({ postAccountBankModel: wrong }));
told("accounts are created, read, listed and filtered");

// --- assets, symbols, prices -----------------------------------------------------------------------------------------

const assets = await once(api(sdk.AssetsBankApi).listAssets({ perPage: 100 }));
const decimals = Object.fromEntries(assets.objects.map((asset) => [asset.code, asset.decimals]));
assert.deepEqual([decimals.USD, decimals.BTC, decimals.ETH], [2, 8, 18]);
assert.ok((await once(api(sdk.SymbolsBankApi).listSymbols())).includes("BTC-USD"));
const [price] = await once(api(sdk.PricesBankApi).listPrices({ symbol: "BTC-USD" }));
assert.equal(price.symbol, "BTC-USD");
assert.ok(price.buy_price >= price.sell_price && price.sell_price > 0);
told("assets, symbols and prices are read");

// --- quotes and trades -----------------------------------------------------------------------------------------------

const quoted = (fields) => once(quotes.createQuote({ postQuoteBankModel: { customer_guid: customerGuid, ...fields } }));
const quote = await quoted({
  product_type: "trading",
  symbol: "BTC-USD",
  side: "buy",
  receive_amount: 1_000_000,
  fees: [{ type: "spread", spread_fee: 50 }, { type: "fixed", fixed_fee: 99 }],
});
const worth = Math.ceil(price.buy_price / 100);
assert.equal(quote.receive_amount, 1_000_000);
assert.equal(quote.deliver_amount, worth + quote.fee);
assert.equal(quote.fee, Math.ceil(worth / 200) + 99);
assert.equal((await once(quotes.getQuote({ quoteGuid: quote.guid }))).guid, quote.guid);
const bought = await once(
  trades.createTrade({ postTradeBankModel: { quote_guid: quote.guid, trade_type: "platform", labels: ["first"] } }),
);
assert.deepEqual([bought.state, bought.trade_type, bought.failure_code], ["storing", "platform", null]);
await refused(409, "data_exists", trades.createTrade({ postTradeBankModel: { quote_guid: quote.guid } }));
const settling = await until("settling", () => once(trades.getTrade({ tradeGuid: bought.guid })));
assert.deepEqual([settling.deliver_amount, settling.labels], [quote.deliver_amount, ["first"]]);
told("a quote is traded, once");

const unpaid = await quoted({ symbol: "BTC-USD", side: "sell", deliver_amount: 500 });
const doomed = { quote_guid: unpaid.guid, expected_error: "non_sufficient_funds" };
const failing = await once(trades.createTrade({ postTradeBankModel: doomed }));
const failed = await until("failed", () => once(trades.getTrade({ tradeGuid: failing.guid })));
assert.equal(failed.failure_code, "non_sufficient_funds");
told("a trade fails on request, with its code");

// --- exits: the types of this release know them in answers only, its code sends what it is given ---------------------

const offer = await quoted({ product_type: "trading_exit", reference_trade_guid: bought.guid });
assert.deepEqual([offer.side, offer.symbol, offer.deliver_amount], ["sell", "BTC-USD", 1_000_000]);
await refused(422, "trade_type_mismatch", trades.createTrade({ postTradeBankModel: { quote_guid: offer.guid } }));
const exit = await once(trades.createTrade({ postTradeBankModel: { quote_guid: offer.guid, trade_type: "exit" } }));
assert.deepEqual([exit.trade_type, exit.reference_trade_guid], ["exit", bought.guid]);
await until("settling", () => once(trades.getTrade({ tradeGuid: exit.guid })));
told("a settling trade is exited");

// --- lists -----------------------------------------------------------------------------------------------------------

const mine = { customerGuid, bankGuid: made.bank_guid };
const page = await once(quotes.listQuotes({ ...mine, side: "sell", productType: "trading,trading_exit", perPage: 1, page: 1 }));
assert.deepEqual([page.total, page.page, page.per_page, guids(page)], [2, 1, 1, [unpaid.guid]]);
const found = async (filters) => guids(await once(trades.listTrades({ ...mine, ...filters })));
assert.deepEqual(await found({}), [exit.guid, failing.guid, bought.guid]);
assert.deepEqual(await found({ state: "storing,settling" }), [exit.guid, bought.guid]);
assert.deepEqual(await found({ label: "first", side: "buy", guid: bought.guid }), [bought.guid]);
assert.deepEqual(await found({ createdAtGte: exit.created_at }), [exit.guid]);
assert.deepEqual(await found({ createdAtLt: exit.created_at, updatedAtGte: bought.created_at }), [failing.guid, bought.guid]);
assert.deepEqual(await found({ updatedAtLt: bought.created_at }), []);
const [coins] = (await once(accounts.listAccounts({ customerGuid, type: "trading" }))).objects;
assert.equal((await found({ accountGuid: coins.guid })).length, 3);
told("lists are in pages, newest first, and filtered");

// --- what is switched on by the document -----------------------------------------------------------------------------

if (has.has("account-labels")) {
  assert.deepEqual(opened.labels, ["cold"]);
  assert.deepEqual(guids(await once(accounts.listAccounts({ label: "cold" }))), [opened.guid]);
  told("accounts keep their labels");
}
if (has.has("patch")) {
  const patch = { customerGuid: made.guid, patchCustomerBankModel: { state: "unverified" } };
  assert.equal((await once(customers.updateCustomer(patch))).state, "unverified");
  assert.equal((await getMade()).state, "unverified");
  told("a customer is changed");
}
