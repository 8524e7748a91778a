// J1 to J3: every type of job, submitted and awaited as this package does both.
import assert from "node:assert/strict";
import { handles, platforms, unsent } from "./platforms.mjs";
import { gathered, refused, until } from "./world.mjs";

/** A container that the service gave: whoever has the address reads and writes. */
const container = new URL(process.env.CONTAINER);

function file(name) {
  const url = new URL(container);
  url.pathname += `/${name}`;
  return url.href;
}

const text = async (name) => {
  const answer = await fetch(file(name));
  assert.equal(answer.status, 200, name);
  return answer.text();
};

export async function jobs(face) {
  const outputContainerUrl = container.href;
  const known = [...platforms, ...unsent];
  const made = [];
  for (const platform of known) {
    made.push(await face.listen.createRegistration(platform.register({ ...handles(platform, 7), tags: ["exported"] })));
  }
  const submitted = await face.full.submitNotificationHubJob({ type: "ExportRegistrations", outputContainerUrl });
  assert.match(submitted.jobId, /^\d{19}[0-9a-f-]{36}$/);
  assert.deepEqual([submitted.type, submitted.outputContainerUrl], ["ExportRegistrations", outputContainerUrl]);
  assert.ok(submitted.createdAt <= submitted.updatedAt);
  const ask = () => face.full.getNotificationHubJob(submitted.jobId);
  const exported = await until(ask, ({ status }) => status === "Completed");
  assert.equal(exported.progress, 100);
  const lines = await text(exported.outputProperties.OutputFilePath);
  assert.equal(lines.trimEnd().split("\n").length, made.length);
  for (const { registrationId } of made) assert.ok(lines.includes(`<RegistrationId>${registrationId}</RegistrationId>`));

  // Brought back, changed and deleted by the same file.
  const name = `${face.name}.txt`;
  assert.equal((await fetch(file(name), { method: "PUT", body: lines })).status, 201);
  const run = (type) => {
    const job = { type, outputContainerUrl, importFileUrl: file(name) };
    return face.full.beginSubmitNotificationHubJob(job, { updateIntervalInMs: 20 });
  };
  for (const [type, word, left] of [
    ["ImportDeleteRegistrations", "deleted", 0],
    ["ImportCreateRegistrations", "created", made.length],
    ["ImportUpdateRegistrations", "updated", made.length],
    ["ImportUpsertRegistrations", "updated", made.length],
  ]) {
    const { jobId, status, importFileUrl, outputProperties } = await run(type);
    assert.deepEqual([status, importFileUrl], ["Completed", file(name)], type);
    const told = (await text(outputProperties.OutputFilePath)).trimEnd().split("\n");
    assert.deepEqual(told, made.map(({ registrationId }, at) => `${at + 1},${word} ${registrationId}`), type);
    assert.equal(await text(outputProperties.FailedFilePath), "");
    assert.equal((await gathered(face.full.listRegistrations())).length, left);
    const listed = await face.full.listNotificationHubJobs();
    assert.deepEqual(listed.find((job) => job.jobId === jobId).type, type);
  }
  for (const { registrationId } of made) await face.listen.deleteRegistration(registrationId);

  const missing = { type: "ImportCreateRegistrations", outputContainerUrl, importFileUrl: file("none.txt") };
  const failing = face.full.beginSubmitNotificationHubJob(missing, { updateIntervalInMs: 20 });
  await assert.rejects(failing, /ImportFileUri leads to no file/);
  const astray = { type: "ExportRegistrations", outputContainerUrl: "https://blobs.example.test/out" };
  await refused(face.full.submitNotificationHubJob(astray), 400, /OutputContainerUri must be/);
  await refused(face.full.getNotificationHubJob("none"), 404, /no such job/);
  await refused(face.listen.listNotificationHubJobs(), 401, /Manage claim is required/);
}
