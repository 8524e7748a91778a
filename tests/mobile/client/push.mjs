// What the client does with push and custom APIs (mobile-apps.md 11.3). Ends with the line that the test waits for.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
require("./browser.cjs");
const { MobileServiceClient } = require("azure-mobile-apps-client");

const { SERVICE: service, ADMIN: admin, TOKEN: token, CHANNEL: channel } = process.env;
const fails = (promise) => Promise.resolve(promise).then(() => assert.fail("must be refused"), (error) => error);
const stored = async (id) => {
  const headers = { authorization: `Bearer ${admin}` };
  const response = await fetch(`${service}/v1/hubs/demo/installations/${id}`, { headers });
  return response.ok ? response.json() : response.status;
};

const client = new MobileServiceClient(service);
const { push } = client;

// Nobody is signed in.
await push.register("gcm", channel, { t: { body: { data: { m: "$(m)" } }, tags: ["vip"] } });
const first = await stored(push.installationId);
assert.equal(first.pushChannel, channel);
assert.equal(first.platform, "gcm");
assert.equal(first.templates.t.body, '{"data":{"m":"$(m)"}}');
assert.deepEqual(first.templates.t.tags, ["t"], "what an app says of tags is left out");
assert.equal(first.tags, undefined);

// Somebody is, and then nobody again.
client.currentUser = { userId: "sid:a", mobileServiceAuthenticationToken: token };
await push.register("gcm", channel);
assert.deepEqual((await stored(push.installationId)).tags, ["_UserId:sid:a"]);
client.currentUser = null;
await push.register("gcm", channel);
assert.deepEqual((await stored(push.installationId)).tags, ["_UserId:sid:a"]);
assert.match((await fails(push.register("pager", channel))).message, /platform must be one of/);
await push.unregister(channel);
assert.equal(await stored(push.installationId), 404);
await push.unregister(channel);

// Custom APIs.
const made = await client.invokeApi("echo", { body: { a: 1 }, parameters: { p: "v w" } });
assert.equal(made.status, 200);
assert.equal(made.result.method, "POST");
assert.equal(made.result.target, "/functions/echo?p=v%20w");
assert.equal(made.result.body, '{"a":1}');
assert.equal(made.result.headers.accept, "application/json");
assert.equal(made.result.headers["x-zumo-features"], "AJ,QS");
assert.equal(made.result.headers["x-ms-client-principal-id"], undefined);
for (const method of ["GET", "PUT", "PATCH", "DELETE"]) {
  const { result } = await client.invokeApi("orders/42", { method });
  assert.deepEqual([result.method, result.target], [method, "/functions/orders/42"]);
}
const text = await client.invokeApi("back", { body: "just a text" });
assert.equal(text.responseText, "just a text");
client.currentUser = { userId: "sid:a", mobileServiceAuthenticationToken: token };
const known = await client.invokeApi("echo", { method: "GET" });
assert.equal(known.result.headers["x-ms-client-principal-id"], "sid:a");
const refused = await fails(client.invokeApi("../admin", { method: "GET" }));
assert.ok(refused.request.status >= 400, refused.message);
const page = await fails(client.invokeApi("page", { method: "GET" }));
assert.deepEqual([page.request.status, page.message], [500, "<h1>no</h1>"]);

console.log("push and custom APIs work");
process.exit(0);
