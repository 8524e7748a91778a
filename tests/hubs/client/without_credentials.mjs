// Baidu and Xiaomi, which the hub of this test has no credentials for: every send is accepted, and its telemetry says why
// nobody got it.
import assert from "node:assert/strict";
import { unsent } from "./platforms.mjs";
import { device, finished, hubs, until } from "./world.mjs";

export async function withoutCredentials(face) {
  for (const platform of unsent) await one(face, platform);
}

async function one(face, platform) {
  const { full, listen } = face;
  const installationId = `${face.name}-${platform.name}`;
  const templates = { greeting: { body: platform.template } };
  const pushChannel = device(platform.name, 0);
  await listen.createOrUpdateInstallation(platform.install({ installationId, pushChannel, tags: [platform.name], templates }));
  const native = platform.notification("x");
  const tagExpression = platform.name;
  const template = hubs.createTemplateNotification({ body: { msg: "x" } });
  const soon = new Date(Date.now() + 200);
  for (const [sent, count] of [
    [await full.sendNotification(native, { tagExpression }), 1],
    [await full.sendBroadcastNotification(native), 1],
    [await full.sendNotification(native, { deviceHandle: device(platform.name, 1) }), 1],
    [await full.sendNotification(native, { deviceHandle: [device(platform.name, 1), device(platform.name, 2)] }), 2],
    [await full.sendNotification(template, { tagExpression: `${tagExpression} && greeting` }), 1],
    [await full.scheduleNotification(soon, native, { tagExpression }), 1],
  ]) {
    const details = await finished(face, sent);
    const counts = details[platform.words.counts];
    assert.deepEqual([details.state, counts], ["Completed", [{ state: "InvalidCredentials", count }]]);
  }
  const tested = await full.sendNotification(native, { tagExpression, enableTestSend: true });
  assert.deepEqual([tested.successCount, tested.failureCount], [0, 1]);
  assert.equal(tested.results[0].applicationPlatform, platform.words.format);
  assert.match(tested.results[0].outcome, /Token obtained from the Token Provider is wrong/);
  const later = await full.scheduleBroadcastNotification(new Date(Date.now() + 3_600_000), native);
  await full.cancelScheduledNotification(later.notificationId);
  const state = async () => (await full.getNotificationOutcomeDetails(later.notificationId)).state;
  await until(state, (state) => state === "Canceled");
  await listen.deleteInstallation(installationId);
}
