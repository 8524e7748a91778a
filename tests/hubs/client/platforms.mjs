// Every platform that the package knows: how its devices are installed and registered, how it is sent to, and what of a
// message its push service must have received.
import { device, hubs } from "./world.mjs";

const json = ({ body }) => JSON.parse(body);

/** Those whose push services are simulated. `words` are those of installations, telemetry and test sends. */
export const platforms = [
  {
    name: "apple",
    words: { installation: "apns", counts: "apnsOutcomeCounts", format: "apple" },
    service: "apns",
    kind: "Apple",
    handle: "deviceToken",
    install: hubs.createAppleInstallation,
    register: hubs.createAppleRegistrationDescription,
    registerTemplate: hubs.createAppleTemplateRegistrationDescription,
    templateHeaders: { apnsHeaders: { "apns-push-type": "alert", "apns-priority": "5" } },
    notification: (msg) => hubs.createAppleNotification({ body: hubs.createAppleNotificationBody({ aps: { alert: msg } }) }),
    template: '{"aps":{"alert":"$(msg)"}}',
    told: (got) => json(got).aps.alert,
  },
  {
    name: "fcmv1",
    words: { installation: "fcmv1", counts: "fcmV1OutcomeCounts", format: "fcmv1" },
    service: "fcm",
    kind: "FcmV1",
    handle: "fcmV1RegistrationId",
    install: hubs.createFcmV1Installation,
    register: hubs.createFcmV1RegistrationDescription,
    registerTemplate: hubs.createFcmV1TemplateRegistrationDescription,
    notification: (msg) =>
      hubs.createFcmV1Notification({ body: hubs.createFirebaseV1NotificationBody({ message: { data: { msg } } }) }),
    template: '{"message":{"data":{"msg":"$(msg)"}}}',
    told: (got) => json(got).message.data.msg,
  },
  {
    name: "gcm",
    words: { installation: "gcm", counts: "fcmOutcomeCounts", format: "gcm" },
    service: "fcm",
    kind: "Gcm",
    handle: "gcmRegistrationId",
    install: hubs.createFcmLegacyInstallation,
    register: hubs.createFcmLegacyRegistrationDescription,
    registerTemplate: hubs.createFcmLegacyTemplateRegistrationDescription,
    notification: (msg) =>
      hubs.createFcmLegacyNotification({ body: hubs.createFirebaseLegacyNotificationBody({ data: { msg } }) }),
    template: '{"data":{"msg":"$(msg)"}}',
    told: (got) => json(got).message.data.msg,
  },
  {
    name: "windows",
    words: { installation: "wns", counts: "wnsOutcomeCounts", format: "windows" },
    service: "wns",
    kind: "Windows",
    handle: "channelUri",
    install: hubs.createWindowsInstallation,
    register: hubs.createWindowsRegistrationDescription,
    registerTemplate: hubs.createWindowsTemplateRegistrationDescription,
    templateHeaders: { wnsHeaders: { "X-WNS-Type": "wns/toast" } },
    notification: (msg) => hubs.createWindowsToastNotification({ body: `<toast><visual>${msg}</visual></toast>` }),
    template: "<toast><visual>$(msg)</visual></toast>",
    told: ({ body }) => body.match(/<visual>(.*)<\/visual>/)[1],
  },
  {
    name: "adm",
    words: { installation: "adm", counts: "admOutcomeCounts", format: "adm" },
    service: "adm",
    kind: "Adm",
    handle: "admRegistrationId",
    install: hubs.createAdmInstallation,
    register: hubs.createAdmRegistrationDescription,
    registerTemplate: hubs.createAdmTemplateRegistrationDescription,
    notification: (msg) => hubs.createAdmNotification({ body: hubs.createAdmNotificationBody({ data: { msg } }) }),
    template: '{"data":{"msg":"$(msg)"}}',
    told: (got) => json(got).data.msg,
  },
  {
    name: "browser",
    words: { installation: "browser", counts: "browserOutcomeCounts", format: "browser" },
    service: "browser",
    kind: "Browser",
    install: hubs.createBrowserInstallation,
    register: hubs.createBrowserRegistrationDescription,
    registerTemplate: hubs.createBrowserTemplateRegistrationDescription,
    notification: (msg) => hubs.createBrowserNotification({ body: { title: msg } }),
    template: '{"title":"$(msg)"}',
    told: (got) => json(got).title,
  },
];

/** Those that the hub has no credentials for. */
export const unsent = [
  {
    name: "baidu",
    words: { installation: "baidu", counts: "baiduOutcomeCounts", format: "baidu" },
    kind: "Baidu",
    install: hubs.createBaiduInstallation,
    register: hubs.createBaiduRegistrationDescription,
    registerTemplate: hubs.createBaiduTemplateRegistrationDescription,
    notification: (msg) => hubs.createBaiduNotification({ body: hubs.createBaiduNotificationBody({ title: msg }) }),
    template: '{"title":"$(msg)"}',
  },
  {
    name: "xiaomi",
    words: { installation: "xiaomi", counts: "xiaomiOutcomeCounts", format: "xiaomi" },
    kind: "Xiaomi",
    handle: "xiaomiRegistrationId",
    install: hubs.createXiaomiInstallation,
    register: hubs.createXiaomiRegistrationDescription,
    registerTemplate: hubs.createXiaomiTemplateRegistrationDescription,
    notification: (msg) => hubs.createXiaomiNotification({ body: { title: msg } }),
    template: '{"title":"$(msg)"}',
  },
];

/** A platform that the package has registrations of, and no builder and no notification. */
export const mpns = {
  name: "mpns",
  kind: "Mpns",
  handle: "channelUri",
  register: (description) => ({ ...description, kind: "Mpns" }),
  registerTemplate: (description) => ({ ...description, kind: "MpnsTemplate" }),
  templateHeaders: { mpnsHeaders: { "X-NotificationClass": "3" } },
  template: '{"title":"$(msg)"}',
};

/** The nth device of a platform as the members of a registration, which are those of a channel, too. */
export function handles(platform, n) {
  const it = device(platform.name, n);
  if (platform.name === "browser") return it;
  if (platform.name === "baidu") {
    const [baiduUserId, baiduChannelId] = it.split("-");
    return { baiduUserId, baiduChannelId };
  }
  return { [platform.handle]: it };
}

/** Whether a device is the one that a push service was sent for. */
export function isFor(platform, n, got) {
  const it = device(platform.name, n);
  if (platform.service === "fcm") return json(got).message.token === it;
  return JSON.stringify(it).includes(got.token);
}
