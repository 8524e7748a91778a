// R1 to R7 for every platform, native and with a template.
import assert from "node:assert/strict";
import { handles, mpns, platforms, unsent } from "./platforms.mjs";
import { gathered, refused } from "./world.mjs";

export async function registrations(face) {
  for (const platform of [...platforms, ...unsent, mpns]) {
    await one(face, platform);
  }
  await pages(face);
}

async function one(face, platform) {
  const handle = handles(platform, 3);
  const common = { tags: ["news", "city.paris"], pushVariables: { who: 'Anna "A" & co', n: "1" } };
  const never = new Date("9999-12-31T23:59:59.999Z");
  const native = await face.listen.createRegistration(platform.register({ ...handle, ...common }));
  const { registrationId, ...shown } = native;
  assert.deepEqual(shown, { kind: platform.kind, ...handle, ...common, etag: "1", expirationTime: never });
  assert.deepEqual(await face.listen.getRegistration(registrationId), native);
  await refused(face.listen.createRegistration({ ...native }), 400, /registrationId must not be set/);

  const reserved = await face.listen.createRegistrationId();
  assert.match(reserved, /^\d+-\d+-\d+$/);
  const extra = { bodyTemplate: platform.template, templateName: "greeting", ...platform.templateHeaders };
  const description = platform.registerTemplate({ ...handle, ...common, ...extra });
  const template = await face.listen.createOrUpdateRegistration({ ...description, registrationId: reserved });
  // The package has no reader of MPNS headers' own class (Q9): what it knows is the same.
  const expected = { ...description, registrationId: reserved, etag: "1", expirationTime: never };
  for (const [name, value] of Object.entries(expected)) assert.deepEqual(template[name], value, `${platform.kind} ${name}`);
  assert.equal(template.kind, `${platform.kind}Template`);

  await byChannel(face, platform, [native, template]);
  const tagged = await gathered(face.full.listRegistrationsByTag("city.paris"));
  assert.deepEqual(tagged, [native, template]);
  assert.deepEqual(await gathered(face.full.listRegistrationsByTag("greeting")), [template], "a template's name is a tag");

  const updated = await face.listen.updateRegistration({ ...native, tags: ["sport"] });
  assert.deepEqual([updated.registrationId, updated.etag, updated.tags], [registrationId, "2", ["sport"]]);
  await refused(face.listen.updateRegistration({ ...native }), 412, /If-Match/);
  await refused(face.listen.deleteRegistration(registrationId, { etag: "1" }), 412, /If-Match/);
  const deleted = await face.listen.deleteRegistration(registrationId, { etag: updated.etag });
  assert.ok(deleted.trackingId);
  await face.listen.deleteRegistration(reserved);
  await refused(face.listen.deleteRegistration(reserved), 404, /no such registration/);
  await refused(face.listen.getRegistration(reserved), 404, /no such registration/);
  await refused(face.listen.updateRegistration(updated), 404, /no such registration/);
}

async function byChannel(face, platform, expected) {
  const channel = { kind: platform.name, ...handles(platform, 3) };
  if (platform === mpns || platform.name === "xiaomi") {
    // Q10: no filter of the package's own, so the list of whoever writes one.
    assert.throws(() => face.listen.listRegistrationsByChannel(channel), { statusCode: 400 });
    const filter = `${platform === mpns ? "ChannelUri" : "XiaomiRegistrationId"} eq '${channel[platform.handle]}'`;
    assert.deepEqual(await gathered(face.listen.listRegistrations({ filter })), expected);
    return;
  }
  assert.deepEqual(await gathered(face.listen.listRegistrationsByChannel(channel)), expected, platform.name);
  const other = { kind: platform.name, ...handles(platform, 4) };
  assert.deepEqual(await gathered(face.listen.listRegistrationsByChannel(other)), []);
}

/** Lists in pages, whose token this package encodes once more (Q11). */
async function pages(face) {
  const [apple] = platforms;
  const made = [];
  for (let n = 0; n < 5; n += 1) {
    made.push(await face.listen.createRegistration(apple.register({ ...handles(apple, 5), tags: ["paged"] })));
  }
  for (const list of [
    face.full.listRegistrations({ top: 2 }),
    face.full.listRegistrationsByTag("paged", { top: 2 }),
    face.listen.listRegistrationsByChannel({ kind: "apple", ...handles(apple, 5) }, { top: 2 }),
  ]) {
    const sizes = [];
    const ids = [];
    for await (const page of list.byPage()) {
      sizes.push(page.length);
      ids.push(...page.map(({ registrationId }) => registrationId));
    }
    assert.deepEqual([sizes, ids], [[2, 2, 1], made.map(({ registrationId }) => registrationId)]);
  }
  await refused(gathered(face.listen.listRegistrations()), 401, /Manage claim is required/);
  await refused(gathered(face.full.listRegistrations({ filter: "Tags eq 'a'" })), 400, /do not support this query/);
  for (const { registrationId } of made) await face.listen.deleteRegistration(registrationId);
  assert.deepEqual(await gathered(face.full.listRegistrations()), []);
}
