// I1 to I4 for every platform.
import assert from "node:assert/strict";
import { mpns, platforms, unsent } from "./platforms.mjs";
import { device, gathered, refused } from "./world.mjs";

export async function installations(face) {
  for (const platform of [...platforms, ...unsent]) await one(face, platform);
  await patches(face);
  await refused(face.listen.getInstallation("none"), 404, /Installation not found/);
  await refused(face.listen.updateInstallation("none", []), 404, /Installation not found/);
  const broken = { installationId: "x", platform: mpns.name, pushChannel: "no address" };
  await refused(face.listen.createOrUpdateInstallation(broken), 400, /pushChannel /);
}

async function one(face, platform) {
  const id = `${face.name}-${platform.name}`;
  const installation = platform.install({
    installationId: id,
    pushChannel: device(platform.name, 0),
    tags: ["news", `only:${id}`],
    userId: "u1",
    pushVariables: { who: "Anna" },
    templates: { greeting: { body: platform.template, tags: ["warm"] } },
  });
  assert.equal(installation.platform, platform.words.installation);
  const put = await face.listen.createOrUpdateInstallation(installation);
  assert.ok(put.trackingId && put.correlationId, "answers carry their ids");
  const { templates, ...read } = await face.listen.getInstallation(id);
  const { templates: written, ...rest } = installation;
  const own = { expirationTime: "9999-12-31T23:59:59.9999999Z", pushChannelExpired: false };
  assert.deepEqual(read, { ...rest, ...own });
  assert.deepEqual(templates.greeting.tags, ["warm", "greeting"]);
  assert.equal(templates.greeting.body, written.greeting.body);
  await face.listen.updateInstallation(id, [{ op: "add", path: "/tags", value: "sport" }]);
  assert.deepEqual((await face.listen.getInstallation(id)).tags, ["news", `only:${id}`, "sport"]);
  // It is two registrations, found by the tag that every installation has.
  const derived = await gathered(face.full.listRegistrationsByTag(`$InstallationId:{${id}}`));
  assert.deepEqual(derived.map(({ kind }) => kind).sort(), [platform.kind, `${platform.kind}Template`]);
  const template = derived.find(({ kind }) => kind.endsWith("Template"));
  const tags = [`$InstallationId:{${id}}`, "$UserId:{u1}", "news", `only:${id}`, "sport", "warm", "greeting"];
  assert.deepEqual([template.tags, template.templateName], [tags, "greeting"]);
  assert.deepEqual(template.pushVariables, { who: "Anna" });
  assert.deepEqual(await face.listen.getRegistration(template.registrationId), template);
  await face.listen.deleteInstallation(id);
  await face.listen.deleteInstallation(id);
  await refused(face.listen.getInstallation(id), 404, /Installation not found/);
}

/** The paths of 2.2.6: values are strings in this package. */
async function patches(face) {
  const [apple] = platforms;
  const installationId = `${face.name}-patched`;
  const pushChannel = device("apple", 1);
  await face.listen.createOrUpdateInstallation(apple.install({ installationId, pushChannel, tags: ["a", "b"] }));
  const template = JSON.stringify({ body: apple.template, headers: { "apns-priority": "5" } });
  for (const [op, path, value, member, expected] of [
    ["replace", "/pushChannel", device("apple", 2), "pushChannel", device("apple", 2)],
    ["add", "/userId", "u2", "userId", "u2"],
    ["remove", "/userId", undefined, "userId", undefined],
    ["add", "/tags", "c", "tags", ["a", "b", "c"]],
    ["add", "/tags", '["d","e"]', "tags", ["a", "b", "c", "d", "e"]],
    ["remove", "/tags/a", undefined, "tags", ["b", "c", "d", "e"]],
    ["replace", "/tags", '["f"]', "tags", ["f"]],
    ["remove", "/tags", undefined, "tags", undefined],
    ["add", "/pushVariables/who", "Anna", "pushVariables", { who: "Anna" }],
    ["remove", "/pushVariables/who", undefined, "pushVariables", undefined],
    ["add", "/expirationTime", "2999-01-01T00:00:00Z", "expirationTime", "2999-01-01T00:00:00.000Z"],
    ["add", "/templates/one", template, "templates", { headers: { "apns-priority": "5" }, tags: ["one"] }],
    ["add", "/templates/one/tags", "warm", "templates", { headers: { "apns-priority": "5" }, tags: ["warm", "one"] }],
    ["remove", "/templates/one/headers/apns-priority", undefined, "templates", { tags: ["warm", "one"] }],
    ["replace", "/templates/one/body", '{"aps":{"alert":"x"}}', "templates", { tags: ["warm", "one"] }],
    ["remove", "/templates/one", undefined, "templates", undefined],
  ]) {
    await face.listen.updateInstallation(installationId, [{ op, path, value }]);
    const read = (await face.listen.getInstallation(installationId))[member];
    const { body, ...shown } = read?.one ?? {};
    assert.deepEqual(member === "templates" && read ? shown : read, expected, `${op} ${path} ${body ?? ""}`);
  }
  const bad = [{ op: "add", path: "/tags", value: "good" }, { op: "add", path: "/platform", value: "wns" }];
  await refused(face.listen.updateInstallation(installationId, bad), 400, /platform/);
  assert.equal((await face.listen.getInstallation(installationId)).tags, undefined, "all or none");
  await face.listen.deleteInstallation(installationId);
}
