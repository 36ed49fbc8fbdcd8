// What JavaScript makes of exact amounts: five of five amounts in wei wrong with JSON.parse, and the two ways around it.
// `tests/contract/test_typescript_sdk.py` starts it. URL and TOKEN as for play.mjs; QUOTES: guids of five quotes.

import assert from "node:assert/strict";
import { parse } from "lossless-json";

const { URL: url, TOKEN: token, QUOTES: quotes } = process.env;
const headers = { Authorization: `Bearer ${token}` };
const path = `${url}/api/quotes?guid=${quotes}`;
const digits = (text) => [...text.matchAll(/"receive_amount":"?(\d+)/g)].map((found) => found[1]);

const plain = await (await fetch(path, { headers })).text();
const exact = digits(plain);
assert.equal(exact.length, 5);

const asDoubles = JSON.parse(plain).objects.map((quote) => BigInt(quote.receive_amount).toString());
const wrong = asDoubles.filter((amount, place) => amount !== exact[place]).length;
console.log(`JSON.parse: ${wrong} of ${exact.length} wrong, as ${exact[0]} read as ${asDoubles[0]}`);
assert.equal(wrong, 5);

const asked = await fetch(path, { headers: { ...headers, Accept: "application/json;numbers=text" } });
assert.equal(asked.headers.get("content-type"), "application/json;numbers=text");
const texts = (await asked.json()).objects.map((quote) => BigInt(quote.receive_amount).toString());
assert.deepEqual(texts, exact);
console.log("numbers=text: 0 of 5 wrong");

const lossless = parse(plain).objects.map((quote) => BigInt(quote.receive_amount.toString()).toString());
assert.deepEqual(lossless, exact);
console.log("lossless-json: 0 of 5 wrong");
