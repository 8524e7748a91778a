// How the client signs in (mobile-apps.md 4, 11.3). Ends with the line that the test waits for.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { open } = require("./browser.cjs");
const { MobileServiceClient } = require("azure-mobile-apps-client");

const service = process.env.SERVICE;
const fails = (promise) => Promise.resolve(promise).then(() => assert.fail("must be refused"), (error) => error);

// With a provider's token.
const client = new MobileServiceClient(service);
const user = await client.login("house", { id_token: process.env.ID_TOKEN });
assert.match(user.userId, /^sid:[0-9a-f]{32}$/);
const token = client.currentUser.mobileServiceAuthenticationToken;
assert.equal(token.split(".").length, 3);
const refused = await fails(new MobileServiceClient(service).login("house", { id_token: "a.b.c" }));
assert.match(refused.message, /no signed token/);

// With a session that the app has already.
const again = new MobileServiceClient(service);
assert.equal((await again.login(token)).userId, user.userId);
assert.match((await fails(new MobileServiceClient(service).login("a.b.c"))).message, /invalid token/);

// In a window of its own, which tells this page and no other.
const popup = new MobileServiceClient(service);
assert.equal((await popup.login("house")).userId, user.userId);
assert.equal(open.last.told, "https://app.example.com");
assert.equal(open.last.closed, true);
assert.match(open.last.visited[0], /session_mode=token&completion_type=postMessage&completion_origin=/);

// The way of browsers whose windows cannot speak to their opener: by a frame in the page.
window.navigator.userAgent = "Mozilla/5.0 (Trident/7.0)";
const frame = new MobileServiceClient(service);
assert.equal((await frame.login("house")).userId, user.userId);
window.navigator.userAgent = "a browser";

// A provider that is not there.
assert.match((await fails(new MobileServiceClient(service).login("nobody", { x: "y" }))).message, /not configured/);

// What is signed in is sent along.
const me = await fetch(`${service}/.auth/me`, { headers: { "x-zumo-auth": token } });
assert.equal((await me.json())[0].provider_name, "house");

console.log("all sign-ins work");
process.exit(0);
