// S1 to S6, T1 and F1 for every platform whose push service is simulated: what the client is told, and what the push
// service received.
import assert from "node:assert/strict";
import { isFor, platforms } from "./platforms.mjs";
import { device, finished, hubs, received, refused, until } from "./world.mjs";

export async function sends(face) {
  for (const platform of platforms) await one(face, platform);
  await applesFields(face);
  await windowsKinds(face);
  await refusals(face);
  const container = await face.full.getFeedbackContainerUrl();
  assert.equal((await fetch(container)).status, 200);
}

/** Sends, waits for the end, and answers how it ended and what the push service received meanwhile. */
async function followed(face, platform, send) {
  const before = (await received(platform.service)).length;
  const sent = await send();
  assert.match(sent.notificationId, /^[\w-]+$/);
  assert.equal(new URL(sent.location).pathname.split("/").at(-1), sent.notificationId);
  const details = await finished(face, sent);
  return { sent, details, got: (await received(platform.service)).slice(before) };
}

/** That these devices, and nobody else, got this message, and that telemetry says so. */
function reached(platform, numbers, msg, { details, got }) {
  const told = got.map((one) => platform.told(one));
  assert.deepEqual(told, numbers.map(() => msg), `${platform.name} ${msg}`);
  for (const n of numbers) assert.ok(got.some((one) => isFor(platform, n, one)), `${platform.name} device ${n}`);
  assert.equal(details.state, "Completed");
  assert.deepEqual(details[platform.words.counts], [{ state: "Success", count: numbers.length }], JSON.stringify(details));
}

async function one(face, platform) {
  const { full, listen } = face;
  const id = (n) => `${face.name}-${platform.name}-${n}`;
  for (const n of [0, 1]) {
    const templates = n === 0 ? { greeting: { body: platform.template, headers: platform.templateHeaders?.wnsHeaders } } : {};
    const tags = [`all:${platform.name}`, `only:${id(n)}`];
    const pushChannel = device(platform.name, n);
    await listen.createOrUpdateInstallation(platform.install({ installationId: id(n), pushChannel, tags, templates }));
  }
  const follow = (send) => followed(face, platform, send);
  const native = (msg) => platform.notification(`${face.name} ${msg}`);
  const check = (numbers, msg, outcome) => reached(platform, numbers, `${face.name} ${msg}`, outcome);

  const tagExpression = `only:${id(1)} && !absent`;
  const tagged = await follow(() => full.sendNotification(native("tag"), { tagExpression }));
  check([1], "tag", tagged);
  assert.equal(tagged.sent.state, "Enqueued");
  assert.equal(tagged.details.targetPlatforms, platform.words.format);
  assert.equal(tagged.details.notificationId, tagged.sent.notificationId);
  assert.ok(tagged.details.enqueueTime <= tagged.details.endTime, "times are read as dates");
  assert.match(tagged.details.notificationBody, new RegExp(`${face.name} tag`));
  const either = hubs.createTagExpression([`only:${id(0)}`, `only:${id(1)}`]);
  check([0, 1], "tags", await follow(() => full.sendNotification(native("tags"), { tagExpression: either })));
  // gcm and fcmv1 are one push service here, and a broadcast is for both kinds of its devices.
  if (platform.service !== "fcm") check([0, 1], "everyone", await follow(() => full.sendBroadcastNotification(native("everyone"))));

  const deviceHandle = device(platform.name, 2);
  check([2], "direct", await follow(() => full.sendNotification(native("direct"), { deviceHandle })));
  const several = { deviceHandle: [device(platform.name, 3), device(platform.name, 4)] };
  check([3, 4], "batch", await follow(() => full.sendNotification(native("batch"), several)));

  const template = hubs.createTemplateNotification({ body: { msg: `${face.name} template` } });
  const greeted = await follow(() => full.sendNotification(template, { tagExpression: `greeting && only:${id(0)}` }));
  const word = platform.words.format === "gcm" ? "fcmv1" : platform.words.format;
  assert.equal(greeted.details.targetPlatforms, `${word}template`);
  if (platform.name !== "gcm") check([0], "template", greeted);
  else assert.deepEqual(greeted.got.map(platform.told), [`${face.name} template`]);

  await tests(face, platform, id(0), native);
  await schedules(face, platform, `only:${id(0)}`, native, check);
  for (const n of [0, 1]) await listen.deleteInstallation(id(n));
  const nobody = await follow(() => full.sendNotification(native("nobody"), { tagExpression }));
  assert.deepEqual([nobody.details.state, nobody.got], ["NoTargetFound", []]);
}

/** S4: a test says what became of each device, by the registration that it is. */
async function tests({ full, listen }, platform, installationId, native) {
  const tagExpression = `only:${installationId}`;
  const options = { tagExpression, enableTestSend: true };
  const tested = await full.sendNotification(native("test"), options);
  const [result] = tested.results;
  assert.deepEqual([tested.state, tested.successCount, tested.failureCount], ["DetailedStateAvailable", 1, 0]);
  assert.equal(result.applicationPlatform, platform.words.format);
  assert.match(result.outcome, /successfully sent to the Push Notification System/);
  const handle = device(platform.name, 0);
  assert.deepEqual(platform.name === "browser" ? JSON.parse(result.pnsHandle) : result.pnsHandle, handle);
  assert.equal((await listen.getRegistration(result.registrationId)).kind, platform.kind);
  // A registration of its own, too.
  const own = { ...(platform.name === "browser" ? handle : { [platform.handle]: handle }), tags: ["own"] };
  const { registrationId } = await listen.createRegistration(platform.register(own));
  const again = await full.sendNotification(native("test"), { tagExpression: "own", enableTestSend: true });
  assert.deepEqual(again.results.map((one) => one.registrationId), [registrationId]);
  const shown = platform.name === "browser" ? JSON.parse(again.results[0].pnsHandle) : again.results[0].pnsHandle;
  assert.deepEqual(shown, handle);
  await listen.deleteRegistration(registrationId);
  // A slip of this package: its test of a broadcast names the tag `undefined`, which is whom it reaches.
  await listen.updateInstallation(installationId, [{ op: "add", path: "/tags", value: "undefined" }]);
  const everyone = await full.sendBroadcastNotification(native("test"), { enableTestSend: true });
  assert.deepEqual([everyone.successCount, everyone.failureCount], [1, 0]);
  const nobody = await full.sendNotification(native("test"), { tagExpression: "nobody", enableTestSend: true });
  assert.deepEqual([nobody.successCount, nobody.failureCount, nobody.results], [0, 0, []]);
  const direct = { deviceHandle: device(platform.name, 2), enableTestSend: true };
  assert.equal((await full.sendNotification(native("test"), direct)).state, "Enqueued");
}

async function schedules(face, platform, tagExpression, native, check) {
  const { full } = face;
  const soon = () => new Date(Date.now() + 200);
  const later = new Date(Date.now() + 3_600_000);
  const sent = await followed(face, platform, () => full.scheduleNotification(soon(), native("later"), { tagExpression }));
  check([0], "later", sent);
  await refused(full.cancelScheduledNotification(sent.sent.notificationId), 404, /no such scheduled/);
  const everyone = await full.scheduleBroadcastNotification(later, native("never"));
  const state = async () => (await full.getNotificationOutcomeDetails(everyone.notificationId)).state;
  assert.equal(await state(), "Scheduled");
  await full.cancelScheduledNotification(everyone.notificationId);
  await until(state, (state) => state === "Canceled");
  await refused(full.cancelScheduledNotification(everyone.notificationId), 404, /no such scheduled/);
}

/** What a caller writes in `headers` is what the push service gets. */
async function applesFields(face) {
  const [apple] = platforms;
  const headers = {
    "apns-push-type": "background",
    "apns-priority": "5",
    "apns-topic": "com.example.app.other",
    "apns-collapse-id": "score",
    "apns-expiration": "0",
  };
  const silent = hubs.createAppleNotification({ body: { aps: { "content-available": 1 } }, headers });
  const { got } = await followed(face, apple, () => face.full.sendNotification(silent, { deviceHandle: device("apple", 6) }));
  for (const [name, value] of Object.entries(headers)) assert.equal(got[0].headers[name], value, name);
}

async function windowsKinds(face) {
  const windows = platforms.find(({ name }) => name === "windows");
  const badge = hubs.createWindowsBadgeNotificationBody({ value: "alert" });
  const xml = { toast: "<toast><visual/></toast>", tile: "<tile><visual/></tile>", badge };
  const builders = {
    toast: hubs.createWindowsToastNotification,
    tile: hubs.createWindowsTileNotification,
    badge: hubs.createWindowsBadgeNotification,
    raw: hubs.createWindowsRawNotification,
  };
  for (const [kind, build] of Object.entries(builders)) {
    const body = xml[kind] ?? "any bytes";
    const headers = { "X-WNS-Type": `wns/${kind}`, "X-WNS-Tag": "t1" };
    for (const notification of [build({ body }), hubs.createWindowsNotification({ body, headers })]) {
      for (const deviceHandle of [device("windows", 6), [device("windows", 6)]]) {
        const { got } = await followed(face, windows, () => face.full.sendNotification(notification, { deviceHandle }));
        assert.deepEqual(got.map((one) => [one.headers["x-wns-type"], one.body]), [[`wns/${kind}`, body]]);
        assert.match(got[0].headers["content-type"], kind === "raw" ? /octet-stream/ : /xml/);
        assert.equal(got[0].headers["x-wns-tag"], notification.headers["X-WNS-Tag"]);
      }
    }
  }
}

async function refusals({ full, listen }) {
  const [apple] = platforms;
  const alert = apple.notification("refused");
  await refused(listen.sendNotification(alert, { tagExpression: "news" }), 401, /Send claim is required/);
  await refused(full.sendNotification(alert, { tagExpression: "news ||" }), 400, /is no tag expression/);
  await refused(full.sendNotification(alert, { deviceHandle: "no hex" }), 400, /DeviceHandle must be/);
  await refused(full.sendNotification(alert, { deviceHandle: [] }), 400, /devices must be/);
  await refused(full.getNotificationOutcomeDetails("none"), 404, /no such notification/);
  await refused(listen.getFeedbackContainerUrl(), 401, /Manage claim is required/);
  await refused(full.scheduleNotification(new Date(Date.now() + 8 * 86_400_000), alert, {}), 400, /7 days/);
}
