// Every public function of the client that needs no registrations and no jobs. Ends with the line that the test waits for.
import assert from "node:assert/strict";
import {
  NotificationHubsClient,
  createAppleInstallation,
  createAppleNotification,
  createBrowserInstallation,
  createFcmLegacyNotification,
  createFcmV1Installation,
  createFcmV1Notification,
  createTagExpression,
  createTemplateNotification,
  createWindowsToastNotification,
} from "@azure/notification-hubs";

const full = new NotificationHubsClient(process.env.FULL, "hub1");
const listen = new NotificationHubsClient(process.env.LISTEN, "hub1");
const token = (device) => String(device + 1).padStart(64, "0");

async function refused(promise, status, words) {
  const error = await promise.then(() => assert.fail("must be refused"), (error) => error);
  assert.equal(error.statusCode, status, error.message);
  assert.match(error.message, words);
}

async function until(ask, fits) {
  for (;;) {
    const answer = await ask();
    if (fits(answer)) return answer;
    await new Promise((done) => setTimeout(done, 20));
  }
}

// Installations.
const installation = createAppleInstallation({
  installationId: "dev-1",
  pushChannel: token(1),
  tags: ["news"],
  userId: "u1",
  templates: { alert: { body: '{"aps":{"alert":"$(msg)"}}' } },
});
const put = await listen.createOrUpdateInstallation(installation);
assert.ok(put.trackingId && put.correlationId, "answers carry their ids");
const read = await listen.getInstallation("dev-1");
assert.equal(read.pushChannel, token(1));
assert.deepEqual(read.templates.alert.tags, ["alert"]);
await listen.updateInstallation("dev-1", [{ op: "add", path: "/tags", value: "sport" }]);
assert.deepEqual((await listen.getInstallation("dev-1")).tags, ["news", "sport"]);
await listen.createOrUpdateInstallation(
  createFcmV1Installation({ installationId: "dev-2", pushChannel: "dev2:APA91b-Device_of_this_test", tags: ["news"] }),
);
const subscription = { endpoint: "https://push.example.test/abc", p256dh: "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4", auth: "BTBZMqHH6r4Tts7J_aSIgg" };
await listen.createOrUpdateInstallation(
  createBrowserInstallation({ installationId: "dev-3", pushChannel: subscription, tags: ["web"] }),
);
assert.deepEqual((await listen.getInstallation("dev-3")).pushChannel, subscription);
await refused(listen.getInstallation("none"), 404, /Installation not found/);

// Sends: native, broadcast, template, direct, batch, test.
const alert = createAppleNotification({
  body: { aps: { alert: "Hi" } },
  headers: { "apns-push-type": "alert", "apns-priority": "10" },
});
const sent = await full.sendNotification(alert, { tagExpression: "news && !muted" });
assert.ok(sent.notificationId, "a send is known by its id");
assert.match(sent.location, /^https:\/\//);
const listed = await full.sendNotification(alert, { tagExpression: createTagExpression(["news", "sport"]) });
assert.ok(listed.notificationId);
assert.ok((await full.sendBroadcastNotification(alert)).notificationId);
const v1 = createFcmV1Notification({ body: { message: { data: { a: "b" } } } });
const toAndroid = await full.sendNotification(v1, { tagExpression: "news" });
const legacy = createFcmLegacyNotification({ body: { data: { a: "b" } } });
const toOld = await full.sendNotification(legacy, { tagExpression: "news" });
await full.sendNotification(createTemplateNotification({ body: { msg: "Hi" } }), { tagExpression: "alert" });
const toast = createWindowsToastNotification({ body: "<toast><visual/></toast>" });
await full.sendNotification(toast, { tagExpression: "news" });
const direct = await full.sendNotification(alert, { deviceHandle: token(2) });
assert.ok(direct.notificationId && direct.notificationId !== "$batch");
const batch = await full.sendNotification(alert, { deviceHandle: [token(3), token(4)] });
assert.ok(batch.notificationId && batch.notificationId !== "$batch");
const tested = await full.sendNotification(alert, { tagExpression: "news", enableTestSend: true });
assert.equal(tested.successCount, 1);
assert.equal(tested.failureCount, 0);
assert.equal(tested.results[0].pnsHandle, token(1));
assert.equal(tested.results[0].applicationPlatform, "apple");
const nobody = await full.sendNotification(alert, { tagExpression: "nobody", enableTestSend: true });
assert.equal(nobody.successCount, 0);
await full.sendNotification(alert, { deviceHandle: token(2), enableTestSend: true });
await refused(listen.sendNotification(alert, { tagExpression: "news" }), 401, /Send claim is required/);
await refused(full.sendNotification(alert, { tagExpression: "news ||" }), 400, /is no tag expression/);

// Telemetry.
const over = (details) => details.state === "Completed";
const details = await until(() => full.getNotificationOutcomeDetails(sent.notificationId), over);
assert.deepEqual(details.apnsOutcomeCounts, [{ state: "Success", count: 1 }], JSON.stringify(details));
assert.equal(details.targetPlatforms, "apple");
assert.ok((await until(() => full.getNotificationOutcomeDetails(batch.notificationId), over)).apnsOutcomeCounts);
assert.ok((await until(() => full.getNotificationOutcomeDetails(toAndroid.notificationId), over)).fcmV1OutcomeCounts);
assert.ok((await until(() => full.getNotificationOutcomeDetails(toOld.notificationId), over)).fcmOutcomeCounts);
await refused(full.getNotificationOutcomeDetails("none"), 404, /no such notification/);

// Schedules.
const later = new Date(Date.now() + 3_600_000);
const scheduled = await full.scheduleNotification(later, alert, { tagExpression: "news" });
assert.ok(scheduled.notificationId);
await full.cancelScheduledNotification(scheduled.notificationId);
await refused(full.cancelScheduledNotification(scheduled.notificationId), 404, /no such scheduled/);
const everyone = await full.scheduleBroadcastNotification(later, alert);
await full.cancelScheduledNotification(everyone.notificationId);

// Feedback.
const container = await full.getFeedbackContainerUrl();
assert.equal((await fetch(container)).status, 200);
await refused(listen.getFeedbackContainerUrl(), 401, /Manage claim is required/);

await listen.deleteInstallation("dev-1");
await listen.deleteInstallation("dev-1");
await refused(listen.getInstallation("dev-1"), 404, /Installation not found/);
console.log("all functions work");
