// Shows and checks the JavaScript client against a daemon: selftest.mjs SOCKET ACCOUNT CONVERSATION COUNT.
// The conversation holds COUNT messages whose texts are their numbers from 0 on.

import assert from "node:assert/strict";
import { Wakeful } from "./wakeful.mjs";

const [socket, account, conversation, count] = process.argv.slice(2);
const wakeful = await Wakeful.connect(socket);
const find = () => wakeful.find({ account, conversation });
const texts = (rows) => rows.map((row) => row.message.text);
const everything = Array.from({ length: Number(count) }, (_, n) => String(n));

assert.deepEqual(texts(await find().sort("asc").batchSize(7).toArray(1000)), everything);
assert.deepEqual(texts(await find().limit(3).toArray(3)), everything.toReversed().slice(0, 3));
assert.deepEqual(texts(await find().sort("asc").skip(2).limit(2).toArray(2)), everything.slice(2, 4));
const cursor = find().sort("asc").batchSize(2);
assert.ok(await cursor.hasNext());
assert.equal((await cursor.next()).message.text, "0");
const seen = [];
await cursor.forEach((row) => seen.push(row) < 3);
assert.deepEqual(texts(seen), everything.slice(1, 4));
await cursor.close();
assert.equal(await cursor.hasNext(), false);
assert.equal(await cursor.next(), null);
await assert.rejects(wakeful.call("cursor.next", { cursor: 4711 }), { code: "cursor_not_found" });

const { seq } = await wakeful.status();
const events = wakeful.subscribe({ after: seq, kinds: ["message"] });
const sent = await wakeful.send(account, conversation, "from javascript");
const { params } = (await events.next()).value;
assert.equal(params.message.text, "from javascript");
assert.equal(params.id, sent.id);
await events.return();
wakeful.close();
console.log("ok");
