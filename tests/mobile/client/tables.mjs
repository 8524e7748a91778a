// What the client does with tables (mobile-apps.md 11.3, 11.4). Ends with the line that the test waits for.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { Store } from "./store.mjs";

const require = createRequire(import.meta.url);
require("./browser.cjs");
const { MobileServiceClient, Query } = require("azure-mobile-apps-client");

const service = process.env.SERVICE;
const sent = [];
const plain = global.fetch;
// Between two requests of the client something else may happen.
let between = async () => {};
global.fetch = async (url, init) => {
  sent.push({ url: decodeURIComponent(String(url)), ...init });
  // A browser sends no body with a GET, whatever the client gives it.
  const response = await plain(url, { ...init, body: init.method === "GET" ? undefined : init.body });
  await between(sent.length);
  return response;
};

const fails = (promise) => Promise.resolve(promise).then(() => assert.fail("must be refused"), (error) => error);
const raw = async (method, path, body) => {
  const headers = { "zumo-api-version": "2.0.0", "content-type": "application/json" };
  const response = await plain(`${service}/tables/${path}`, { method, headers, body: body && JSON.stringify(body) });
  const text = await response.text();
  return text && JSON.parse(text);
};

// Online.
const client = new MobileServiceClient(service);
const table = client.getTable("TodoItem");
const made = await table.insert({ id: "a-1", text: "first", complete: false });
assert.ok(made.version && made.createdAt instanceof Date && made.deleted === false);
const generated = await table.insert({ text: "O'B", complete: false });
assert.match(generated.id, /^[0-9a-f-]{36}$/);
assert.equal((await fails(table.insert({ id: "a-1" }))).request.status, 409);
assert.match((await fails(table.lookup("zip"))).message, /The item does not exist/);
assert.match((await fails(table.lookup("a/b"))).message, /not valid/);
assert.equal((await table.lookup("a-1")).text, "first");
assert.deepEqual((await table.where({ complete: false, text: "O'B" }).read()).map((row) => row.id), [generated.id]);
const some = await table
  .where(function () {
    return this.text !== "q" && this.complete === false;
  })
  .orderBy("text")
  .orderByDescending("createdAt")
  .take(1)
  .includeTotalCount()
  .read();
assert.equal(some.length, 1);
assert.equal(some.totalCount, 2);
const paged = await table.where(function (since) { return this.createdAt > since; }, new Date(0)).take(1).read();
assert.ok(paged.nextLink.startsWith(`${service}/tables/TodoItem?`), paged.nextLink);
const searched = await table.where(function () { return this.text.toLowerCase().indexOf("fir") === 0; }).read();
assert.deepEqual(searched.map((row) => row.id), ["a-1"]);
const updated = await table.update({ ...made, text: "second" });
assert.notEqual(updated.version, made.version);
const stale = await fails(table.update({ ...made, text: "third" }));
assert.equal(stale.request.status, 412);
assert.equal(stale.serverInstance.text, "second");
assert.equal((await fails(table.del({ id: "a-1", version: made.version }))).request.status, 412);
assert.equal((await table.refresh({ id: "a-1" })).text, "second");
await table.del({ id: "a-1", version: updated.version });
assert.equal((await fails(table.del({ id: "a-1" }))).request.status, 404);
await raw("POST", "todoitem/a-1");
assert.equal((await table.lookup("a-1")).text, "second");

// Offline.
const definitions = { id: "text", text: "text", complete: "boolean", n: "integer" };
async function device() {
  const client = new MobileServiceClient(service);
  const store = new Store();
  const context = client.getSyncContext();
  await context.initialize(store);
  return { client, store, context };
}
const rows = async (device, name) => {
  const all = await device.store.read(new Query(name));
  return Object.fromEntries(all.map((row) => [row.id, row]));
};

const one = await device();
const own = one.client.getSyncTable("todoitem");
await own.insert({ id: "o-1", text: "offline", complete: false });
await own.update({ id: "o-1", text: "offline", complete: true });
sent.length = 0;
await one.context.push();
assert.deepEqual(sent.map((request) => request.method), ["POST"], "merged in the queue");
assert.match(sent[0].headers["X-ZUMO-FEATURES"] ?? sent[0].headers["x-zumo-features"], /OL/);
const mine = await one.store.lookup("todoitem", "o-1");
assert.ok(mine.version && mine.updatedAt instanceof Date && mine.complete === true);

// A conflict, settled by the app.
await raw("PATCH", "todoitem/o-1", { text: "changed elsewhere" });
await own.update({ ...mine, text: "changed here" });
const conflicts = [];
one.context.pushHandler = {
  onConflict: async (error) => {
    const server = error.getServerRecord();
    conflicts.push(server?.text);
    const client = error.getClientRecord();
    return error.update({ ...client, version: server.version });
  },
  onError: async (error) => conflicts.push(error.getError()),
};
assert.deepEqual((await one.context.push()).map((error) => error.isHandled), []);
assert.deepEqual(conflicts, ["changed elsewhere"]);
assert.equal((await table.lookup("o-1")).text, "changed here");

// A queued delete of a row that is gone already is done.
one.context.pushHandler = undefined;
await own.del({ id: "o-1" });
await raw("DELETE", "todoitem/o-1");
await one.context.push();
sent.length = 0;
await one.context.push();
assert.equal(sent.length, 0, "nothing stays in the queue");

// Pulls: pages, increments, nothing new.
for (let n = 0; n < 7; n += 1) await raw("POST", "smallpage", { id: `p-${n}`, n: 2 });
const query = () => new Query("smallpage").where({ n: 2 });
const two = await device();
sent.length = 0;
await two.context.pull(query(), "mine", { pageSize: 3 });
assert.equal(Object.keys(await rows(two, "smallpage")).length, 7);
assert.equal(sent.length, 5, sent.map((request) => request.url).join("\n"));
sent.length = 0;
await two.context.pull(query(), "mine", { pageSize: 3 });
assert.equal(sent.length, 2);
await raw("DELETE", "smallpage/p-3");
await raw("PATCH", "smallpage/p-0", { n: 2, text: "new" });
await two.context.pull(query(), "mine", { pageSize: 3 });
const copy = await rows(two, "smallpage");
assert.equal(Object.keys(copy).length, 6);
assert.equal(copy["p-0"].text, "new");
await raw("POST", "hard", { id: "h-1" });
assert.match((await fails(two.context.pull(new Query("hard"), "h"))).message ?? "", /'deleted' system property is missing/);

// E and F: what moves between the requests of a pull loses nobody.
for (let n = 1; n <= 8; n += 1) await raw("POST", "smallpage", { id: `e-${n}`, n: 5 });
const three = await device();
let pages = 0;
between = async () => {
  pages += 1;
  if (pages === 2) await raw("PATCH", "smallpage/e-1", { text: "moved" });
};
const five = () => new Query("smallpage").where({ n: 5 });
await three.context.pull(five(), "five", { pageSize: 3 });
assert.equal(Object.keys(await rows(three, "smallpage")).length, 8);
pages = 0;
between = async () => {
  pages += 1;
  if (pages !== 1) return;
  await raw("POST", "smallpage", { id: "f-new", n: 5 });
  await raw("PATCH", "smallpage/e-1", { text: "moved again" });
};
await three.context.pull(five(), "five", { pageSize: 3 });
const whole = await rows(three, "smallpage");
assert.ok(whole["f-new"], "the new row is not skipped");
assert.equal(whole["e-1"].text, "moved again");

console.log("all tables work");
process.exit(0);
