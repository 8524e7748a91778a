// Every public function of npm @azure/notification-hubs, of its client class and of its modular form, against the service.
// Ends with the line that the test waits for.
import assert from "node:assert/strict";
import { declared } from "./declared.mjs";
import { installations } from "./installations.mjs";
import { jobs } from "./jobs.mjs";
import { registrations } from "./registrations.mjs";
import { sends } from "./sends.mjs";
import { withoutCredentials } from "./without_credentials.mjs";
import { faces, neverCalled } from "./world.mjs";

for (const face of faces) {
  for (const part of [installations, registrations, sends, withoutCredentials, jobs]) {
    await part(face);
    console.log(`${face.name}: ${part.name}`);
  }
}
assert.deepEqual(neverCalled(declared), [], "exported and never called");
console.log("all functions work");
