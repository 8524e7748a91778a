// What the parts of the program share: the package with a note of what was called, the two ways into it, the devices and
// what the simulated push services received.
import assert from "node:assert/strict";
import * as main from "@azure/notification-hubs";
import * as functions from "@azure/notification-hubs/api";
import * as models from "@azure/notification-hubs/models";

/** Functions of the package that were called, by whatever name they were reached. */
const called = new Set();

function noted(f) {
  return new Proxy(f, {
    apply: (f, self, args) => (called.add(f), Reflect.apply(f, self, args)),
    construct: (f, args) => (called.add(f), Reflect.construct(f, args)),
  });
}

const all = (module) => Object.fromEntries(Object.entries(module).map(([name, f]) => [name, noted(f)]));

/** The package's main module. */
export const hubs = all(main);
const api = all(functions);

/** The client class, as a program holds it. */
function byClass(connectionString) {
  const client = new hubs.NotificationHubsClient(connectionString, "hub1");
  const method = (client, name) => (typeof client[name] === "function" ? noted(client[name]).bind(client) : client[name]);
  return new Proxy(client, { get: method });
}

/** The same operations as functions of a context. */
function byFunctions(connectionString) {
  const context = api.createClientContext(connectionString, "hub1");
  return new Proxy(api, { get: (api, name) => (...args) => api[name](context, ...args) });
}

/** Both ways into the package, each with the right of everything and that of an app. */
export const faces = [byClass, byFunctions].map((open) => ({
  name: open.name,
  full: open(process.env.FULL),
  listen: open(process.env.LISTEN),
}));

/** What the package has and nobody called, of the names that it declares: `module.name`, of classes `module.name.method`. */
export function neverCalled(declared) {
  const modules = { ".": main, "./api": functions, "./models": models };
  const names = [];
  for (const [module, exported] of Object.entries(modules)) {
    assert.deepEqual(Object.keys(exported).sort(), [...declared[module].keys()].sort(), `what ${module} exports`);
    for (const [name, methods] of declared[module]) {
      const parts = methods.map((method) => [`${module} ${name}.${method}`, exported[name].prototype[method]]);
      names.push([`${module} ${name}`, exported[name]], ...parts);
    }
  }
  return names.filter(([, f]) => !called.has(f)).map(([name]) => name);
}

/** The devices that the simulated services know, by platform. */
const devices = JSON.parse(process.env.DEVICES);
export const appleToken = (n) => String(n + 1).padStart(64, "0");
export const device = (platform, n) => (platform === "apple" ? appleToken(n) : devices[platform][n]);

/** What a simulated service took so far, in order: `{token, headers, body}`, the token in hex. */
export async function received(service) {
  return (await fetch(`${process.env.RECEIVED}/${service}`)).json();
}

export async function refused(promise, status, words) {
  const error = await promise.then(() => assert.fail(`must be refused: ${words}`), (error) => error);
  assert.ok(hubs.isRestError(error), error.stack);
  called.add(error.constructor);
  assert.equal(error.statusCode, status, error.message);
  assert.match(error.message, words);
}

export async function until(ask, fits) {
  for (;;) {
    const answer = await ask();
    if (fits(answer)) return answer;
    await new Promise((done) => setTimeout(done, 20));
  }
}

/** Waits for the end of a message and answers its details. */
export function finished(face, sent) {
  const over = ({ state }) => state === "Completed" || state === "NoTargetFound";
  return until(() => face.full.getNotificationOutcomeDetails(sent.notificationId), over);
}

export async function gathered(pages) {
  const items = [];
  for await (const item of pages) items.push(item);
  return items;
}
